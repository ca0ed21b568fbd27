# The gem's page over HTTP, without a browser: page.rb <port>
require_relative "jobs"
require "sidekiq/web"
require "rack/session/cookie"
require "rack/handler/puma"

app = Rack::Builder.new do
  use Rack::Session::Cookie, secret: "x" * 64, same_site: true
  run Sidekiq::Web
end
Rack::Handler::Puma.run(app, Port: ARGV[0].to_i, Host: "127.0.0.1", Threads: "1:2", Silent: true)
