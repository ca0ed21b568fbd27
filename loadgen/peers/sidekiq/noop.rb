# Sidekiq: no-op jobs, pushed in bulk and run by its own launcher, without Rails and without the command line's boot.
#
# noop.rb enqueue URL JOBS
# noop.rb work URL THREADS JOBS    prints `first NS` and `last NS` of the monotonic clock, until it is ended
require "sidekiq"
# Each fetch of this version would print a warning of the redis gem, which costs more than the job.
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)
Sidekiq.logger.level = Logger::ERROR

order, url, *numbers = ARGV
JOBS = Integer(numbers.last)
DONE = Queue.new # Thread-safe and cheap: its length is the number of jobs that have run.

class Noop
  include Sidekiq::Worker
  sidekiq_options retry: 0

  def perform
    DONE << nil
    done = DONE.size
    mark("first") if done == 1
    mark("last") if done == JOBS
  end

  def mark(name)
    $stdout.puts("#{name} #{Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)}")
    $stdout.flush
  end
end

case order
when "enqueue"
  Sidekiq.configure_client { |config| config.redis = {url: url} }
  JOBS.times.each_slice(1_000) { |slice| Sidekiq::Client.push_bulk("class" => "Noop", "args" => slice.map { [] }) }
when "work"
  require "sidekiq/cli" # Makes this process a server in the eyes of the library.
  require "sidekiq/launcher"
  Sidekiq.configure_server { |config| config.redis = {url: url} }
  options = Sidekiq.options.merge!(concurrency: Integer(numbers.first), queues: ["default"])
  options[:fetch] = Sidekiq::BasicFetch.new(options)
  launcher = Sidekiq::Launcher.new(options)
  stop = Queue.new
  Signal.trap("TERM") { stop.close }
  launcher.run
  stop.pop
  launcher.stop
end
