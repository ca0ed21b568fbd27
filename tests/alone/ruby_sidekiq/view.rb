# What the gem's own API makes of what is in Redis, as JSON.
require_relative "jobs"
require "sidekiq/api"
require "json"

stats = Sidekiq::Stats.new
entry = lambda do |job|
  { jid: job.jid, class: job.klass, args: job.args, queue: job.queue, score: job.score,
    error: job["error_class"], message: job["error_message"], failed_at: job["failed_at"],
    retry_count: job["retry_count"], at: job.at.to_f }
end
works = Sidekiq::Workers.new.map { |process, thread, work| { process: process, thread: thread, work: work } }
puts JSON.generate(
  processed: stats.processed, failed: stats.failed, enqueued: stats.enqueued,
  scheduled: stats.scheduled_size, retries: stats.retry_size, dead: stats.dead_size,
  workers: stats.workers_size, today: Sidekiq::Stats::History.new(1).processed.values.first,
  queues: Sidekiq::Queue.all.map { |queue| { name: queue.name, size: queue.size, latency: queue.latency } },
  retry_set: Sidekiq::RetrySet.new.map(&entry), dead_set: Sidekiq::DeadSet.new.map(&entry),
  processes: Sidekiq::ProcessSet.new.map { |process| process.instance_variable_get(:@attribs).merge("stopping" => process.stopping?) },
  works: works
)
