# Pushes numbered jobs, of which every tenth fails at first: push.rb <from> <to> [class]
require_relative "jobs"
from, to, name = ARGV[0].to_i, ARGV[1].to_i, ARGV[2] || "Counted"
args = (from...to).map { |number| name == "Counted" ? [number, (number % 10).zero?] : [number] }
args.each_slice(1_000) { |slice| Sidekiq::Client.push_bulk("class" => Object.const_get(name), "args" => slice) }
