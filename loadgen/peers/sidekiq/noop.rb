# Sidekiq: no-op jobs, pushed in bulk and run by its own launcher, without Rails and without the command line's boot.
#
# noop.rb enqueue URL JOBS
# noop.rb work URL CONCURRENCY JOBS    prints `first NS` and `last NS` of the monotonic clock, until it is ended
require "sidekiq"

order, url, *numbers = ARGV
numbers = numbers.map { |number| Integer(number) }
DONE = Queue.new # Thread-safe and cheap: its length is the number of jobs that have run.
JOBS = numbers.last

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
  require "sidekiq/cli"
  require "sidekiq/launcher"
  Sidekiq.configure_server { |config| config.redis = {url: url} }
  Sidekiq.logger.level = Logger::ERROR
  # As `sidekiq -c N -q default` does, less the boot of an application.
  options = Sidekiq.options.merge(concurrency: numbers.first, queues: ["default"], fetch: nil)
  options = Sidekiq.options.merge!(concurrency: numbers.first, queues: ["default"])
  options[:fetch] = Sidekiq::BasicFetch.new(options)
  launcher = Sidekiq::Launcher.new(options)
  stop = Queue.new
  Signal.trap("TERM") { stop.close }
  launcher.run
  stop.pop
  launcher.quiet
  launcher.stop
end
