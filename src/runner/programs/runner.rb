# frozen_string_literal: true

# Runs job classes for jiggler-uring: ruby -e THIS -- PATH. The protocol is in the documentation of the crate, `runner`.
# As a server it loads the application once and forks; a child runs jobs in threads. It needs no gem of its own.
require 'json'
require 'socket'
begin
  require 'fiddle'
rescue LoadError
  nil # then the end of the socket ends it
end

module JigglerUring
  # What a job may raise to say more than that it failed.
  class Snooze < StandardError
    attr_reader :seconds

    def initialize(seconds)
      @seconds = seconds
      super("runs again in #{seconds} s")
    end
  end
  Discard = Class.new(StandardError)
  Dead = Class.new(StandardError)
  # Raised in a job that nobody waits for any longer.
  Cancelled = Class.new(Exception)

  # The running job, for those who want to say how far it is.
  Run = Struct.new(:number, :name, :jid, :queue, :attempt, :payload, :link) do
    def progress(done, total, note = '')
      link.say(['progress', number, *[done, total].map { |count| count.to_i.clamp(0, 2**53) }, note.to_s])
    end

    def log(text, level = 'info') = link.say(['log', number, level.to_s, text.to_s])

    # Pushes a job over the worker's connection; returns its jid. Options: queue, retries, jid, in, at.
    def enqueue(name, *args, **options)
      link.enqueue(number, { 'name' => name.to_s, 'args' => args }.merge(options.transform_keys(&:to_s)))
    end
  end

  def self.current = Thread.current[:jiggler_uring_run]
  def self.progress(...) = current&.progress(...)
  def self.enqueue(...) = current.enqueue(...)

  # The socket to the shard. Any thread may write.
  class Link
    def initialize(socket)
      @socket = socket
      @lock = Mutex.new
      @answers = {}
      @references = 0
    end

    def say(message) = write(line_of(message))

    def line_of(message) = JSON.generate(message, max_nesting: false) << "\n"

    def write(line)
      # An interrupted write would leave half a line.
      Thread.handle_interrupt(Cancelled => :never) { @lock.synchronize { @socket.write(line) } }
    rescue Errno::EPIPE, Errno::ECONNRESET, IOError
      exit!(0)
    end

    def enqueue(number, fields)
      box = Queue.new
      reference = @lock.synchronize { @answers[@references += 1] = box; @references }
      say(['enqueue', number, reference, fields])
      word, answer = box.pop
      raise answer if word == 'refused'

      answer
    end

    def answered(word, reference, answer)
      @lock.synchronize { @answers.delete(reference) }&.push([word, answer])
    end
  end

  # The threads of a child.
  class Jobs
    def initialize(link, wrap)
      @link = link
      @wrap = wrap
      @todo = Queue.new
      @running = {}
      @guard = Mutex.new
      @looked = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end

    def start(threads) = threads.times { Thread.new { Thread.handle_interrupt(Cancelled => :never) { work } } }

    def give(job) = @todo << job

    def cancel(number) = @guard.synchronize { @running[number]&.raise(Cancelled, 'it was cancelled') }

    private

    def work
      loop do
        number, info, payload = @todo.pop
        answer = run(number, info, payload)
        # An interruption that came too late for this job is not for the next one.
        begin
          Thread.handle_interrupt(Cancelled => :immediate) { Thread.pass }
        rescue Cancelled
          nil
        end
        @link.write(answer)
        look_at_memory
      end
    end

    def run(number, info, payload)
      thread = Thread.current
      thread[:jiggler_uring_run] =
        Run.new(number, info['name'], info['jid'], info['queue'], info['attempt'], payload, @link)
      @guard.synchronize { @running[number] = thread }
      klass = nil
      begin
        Thread.handle_interrupt(Cancelled => :immediate) do
          @wrap.call { (klass = Object.const_get(info['name'])).new.perform(*payload['args']) }
        end
        @link.line_of(['done', number])
      rescue Exception => e # rubocop:disable Lint/RescueException -- as the gems: it fails the job, not the process
        answer_of(number, e, klass)
      end
    ensure
      @guard.synchronize { @running.delete(number) }
      thread[:jiggler_uring_run] = nil
    end

    # The line that says how a job failed, whatever its error does when it is looked at.
    def answer_of(number, error, klass)
      @link.line_of(verdict(number, error, klass))
    rescue Exception # rubocop:disable Lint/RescueException -- or nobody answers for the job
      untold = { 'class' => 'JigglerUring::UntoldError', 'message' => 'its error cannot be told' }
      @link.line_of(['failed', number, untold])
    end

    def verdict(number, error, klass)
      case error
      when Snooze then ['snooze', number, pause(error.seconds)]
      when Discard then ['discard', number, failure(error)]
      when Dead then ['dead', number, failure(error)]
      when Cancelled then ['failed', number, failure(error)]
      else
        told = failure(error)
        retry_queue = klass.retry_queue if klass.respond_to?(:retry_queue)
        told['retry_queue'] = text(200) { retry_queue } if retry_queue
        ['failed', number, told]
      end
    end

    # What is no time goes as text: the worker says so.
    def pause(seconds)
      time = Float(seconds) unless seconds.is_a?(String)
      time&.finite? ? time : text(100) { seconds }
    rescue TypeError, ArgumentError
      text(100) { seconds }
    end

    def failure(error)
      lines = (error.backtrace || []).reject { |line| line.start_with?('-e:') }.first(100)
      { 'class' => text(200) { error.class.name || 'Exception' }, 'message' => text(10_000) { error.message },
        'backtrace' => lines.map { |line| text(1_000) { line } } }
    end

    def text(most)
      yield.to_s.dup.force_encoding('UTF-8').scrub[0, most]
    rescue Exception # rubocop:disable Lint/RescueException -- it is the application's code
      '(it cannot be shown)'
    end

    def look_at_memory
      return unless ENV['JIGGLER_URING_MEMORY']

      now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      return if now - @looked < 1

      @looked = now
      kb = File.read('/proc/self/smaps_rollup')[/^Pss:\s+(\d+)/, 1]
      @link.say(['memory', kb.to_i * 1024]) if kb
    rescue SystemCallError
      nil
    end
  end

  module_function

  # Loads the application; returns what surrounds each job.
  def load_application(path)
    path = File.expand_path(path)
    environment = File.join(path, 'config', 'environment.rb')
    path = environment if File.directory?(path)
    gemfile = ENV['BUNDLE_GEMFILE'] || [Dir.pwd, File.dirname(path)].map { |dir| File.join(dir, 'Gemfile') }.find { |file| File.file?(file) }
    if gemfile
      ENV['BUNDLE_GEMFILE'] = gemfile
      require 'bundler/setup'
    end
    require path
    return ->(&block) { block.call } unless defined?(Rails.application) && Rails.application

    Rails.application.eager_load!
    Rails.application.reloader.method(:wrap)
  end

  # A function of the C library.
  def c_call(name, types, *args)
    return unless defined?(Fiddle)

    types = types.map { |type| Fiddle.const_get("TYPE_#{type}") }
    Fiddle::Function.new(Fiddle::Handle::DEFAULT[name], types, Fiddle::TYPE_INT).call(*args)
  rescue StandardError
    nil
  end

  # The kernel kills this process when its parent ends.
  def parent_death
    c_call('prctl', %i[INT LONG], 1, 9)
  end

  # The worker blocks the signals that it reads itself.
  def unblock_signals
    c_call('sigprocmask', %i[INT VOIDP VOIDP], 2, "\0" * 128, nil)
  end

  # Waits for the end of a child, and ends what is left of its process group before its number is free again.
  def reap(pid)
    Thread.new do
      # P_PID; WEXITED | WNOWAIT: it stays a zombie. It may be interrupted (EINTR).
      until (found = c_call('waitid', %i[INT INT VOIDP INT], 1, pid, nil, 0x0100_0004)).nil? || found.zero?
        break unless Fiddle.last_error == Errno::EINTR::Errno
      end
      # Without it the number is free for a moment, though not while anybody is left in the group.
      Process.wait(pid) if found.nil?
      begin
        Process.kill(:KILL, -pid)
      rescue SystemCallError
        nil
      end
      Process.wait(pid) unless found.nil?
    rescue SystemCallError
      nil
    end
  end

  def child(socket, wrap)
    link = Link.new(socket)
    jobs = Jobs.new(link, wrap)
    jobs.start(Integer(ENV.fetch('JIGGLER_URING_THREADS', '1')))
    link.say(['hello', { 'protocol' => 1, 'language' => "ruby #{RUBY_VERSION}" }])
    while (line = socket.gets)
      # Bytes that are no UTF-8 come through as they are.
      word, *rest = JSON.parse(line.force_encoding('UTF-8'), max_nesting: false, allow_nan: true)
      case word
      when 'job' then jobs.give(rest)
      when 'cancel' then jobs.cancel(rest[0])
      when 'enqueued', 'refused' then link.answered(word, *rest)
      when 'bye' then break
      end
    end
    $stdout.flush
    $stderr.flush
  end

  def server(control, wrap)
    parent = Process.pid
    GC.start
    GC.compact if GC.respond_to?(:compact)
    control.write("[\"ready\",1]\n")
    loop do
      line, _, _, rights = control.recvmsg(4096, 0, nil, scm_rights: true)
      break if line.nil? || line.empty?

      socket, output = rights.unix_rights
      pid = fork do
        Process.setpgid(0, 0)
        parent_death
        exit!(0) if Process.ppid != parent
        control.close
        $stdout.reopen(output)
        $stderr.reopen(output)
        $stdout.sync = $stderr.sync = true
        child(UNIXSocket.for_fd(socket.fileno).tap { socket.autoclose = false }, wrap)
        exit!(0)
      rescue Exception => e # rubocop:disable Lint/RescueException -- at_exit of the application is not for each child
        warn(e.full_message(highlight: false))
        exit!(1)
      end
      reap(pid)
      [socket, output].each(&:close)
      control.write("[\"forked\",#{JSON.parse(line)[1]},#{pid}]\n")
    end
  end
end

$stdout.sync = true
link = UNIXSocket.for_fd(Integer(ENV.delete('JIGGLER_URING_FD')))
link.close_on_exec = true
JigglerUring.unblock_signals
wrap = JigglerUring.load_application(ARGV.shift)
ENV.delete('JIGGLER_URING_ROLE') == 'server' ? JigglerUring.server(link, wrap) : JigglerUring.child(link, wrap)
exit!(0)
