# What an operator does by the gem's API, as its pages do: act.rb quiet|stop|retry|kill|delete|clear
require_relative "jobs"
require "sidekiq/api"

case ARGV[0]
when "quiet" then Sidekiq::ProcessSet.new.each(&:quiet!)
when "stop" then Sidekiq::ProcessSet.new.each(&:stop!)
when "retry" then Sidekiq::RetrySet.new.each { |job| Sidekiq::RetrySet.new.fetch(job.score, job.jid).each(&:retry) }
when "kill" then Sidekiq::RetrySet.new.each { |job| Sidekiq::RetrySet.new.fetch(job.score, job.jid).each(&:kill) }
when "delete" then Sidekiq::DeadSet.new.each { |job| Sidekiq::DeadSet.new.fetch(job.score, job.jid).each(&:delete) }
when "clear" then Sidekiq::Queue.all.each(&:clear)
end
