# frozen_string_literal: true

# Job classes of the gem, as they are: `jiggler-uring -r examples/runners/ruby/app.rb -q default,mails`. A Rails application
# is given by its directory.
require 'jiggler'

# `Welcome.enqueue('Ada')` in the application pushes it; the worker runs it.
class Welcome
  include Jiggler::Job
  job_options queue: 'mails', retries: 3, retry_queue: 'mails'

  def perform(name, title = nil)
    raise ArgumentError, 'nobody to welcome' if name.empty?

    puts "welcome, #{[title, name].compact.join(' ')}"
  end
end
