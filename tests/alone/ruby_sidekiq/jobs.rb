# The application of the tests: a class that runs in Ruby as in Rust, and one that only Ruby has.
require "sidekiq"

settings = { url: ENV.fetch("REDIS_URL") }
Sidekiq.configure_client { |config| config.redis = settings }
Sidekiq.configure_server do |config|
  config.redis = settings
  config.average_scheduled_poll_interval = 1
end

module Journal
  def self.line(text)
    File.open(ENV.fetch("JOURNAL"), "a") { |file| file.write("#{text}\n") }
  end
end

# Fails at its first attempt, if it is asked to.
class Counted
  include Sidekiq::Worker
  sidekiq_options retry: 5
  sidekiq_retry_in { 1 }

  def perform(number, fails)
    count = Thread.current[:sidekiq_retry_count].to_i
    Journal.line("ruby #{jid} #{number} #{count}")
    raise ArgumentError, "asked to fail" if fails && count.zero?
  end
end

class RubyOnly
  include Sidekiq::Worker

  def perform(number)
    Journal.line("only #{jid} #{number} 0")
  end
end

# A job does not know how often it has failed.
class RetryCount
  def call(_worker, job, _queue)
    Thread.current[:sidekiq_retry_count] = job["retry_count"] ? job["retry_count"] + 1 : 0
    yield
  end
end

Sidekiq.configure_server { |config| config.server_middleware { |chain| chain.add RetryCount } }
