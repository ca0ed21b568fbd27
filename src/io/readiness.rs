//! Which sockets of a core can be read or written, reported by one epoll set that its ring waits for.
//!
//! Polling through the ring for each wait takes an allocation of a few hundred bytes, two ring entries and, when the
//! other end is on another CPU, an interrupt for each; and the socket is first tried in vain. With ten thousand
//! connections that was a third of the CPU time. So each socket is registered once, edge-triggered; what epoll
//! reported is remembered until a call finds it used up, and a socket known to be empty is not read. The ring polls
//! only the set.
//!
//! ```text
//! kernel: socket has data ─► epoll set ─► ring ─► gather: up to N events ─► flag of the socket, waker of who waits
//! ```
//! Nothing here reads or writes: no byte is ever in flight when a future is dropped.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use glommio::io::PollableFd;
use glommio::timer::Timer;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::limits::io::{READINESS_EVENTS_MAX, READINESS_PAUSE};

thread_local! {
    static SET: RefCell<Option<Rc<Set>>> = const { RefCell::new(None) };
}

/// A non-blocking socket of this core whose readiness is known.
pub(crate) struct Watched<S> {
    socket: S,
    told: Rc<Told>,
    /// Its place in the set.
    place: usize,
    set: Rc<Set>,
}

/// What a fresh socket can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// It is connected: a write may be tried.
    Connected,
    /// It is connecting: it becomes writable when that has succeeded or failed.
    Connecting,
}

/// What is known about one socket, and who wants to know more.
struct Told {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// The peer sends no more, or the connection broke: it stays readable, because the end can be read any number of
    /// times.
    ended: Cell<bool>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
}

/// The set of one executor.
struct Set {
    /// The executor it belongs to: a thread may run several executors in turn.
    executor: usize,
    epoll: PollableFd<OwnedFd>,
    places: RefCell<Places>,
}

/// The sockets in the set. At most as many as are open.
#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
}

#[derive(Default)]
struct Place {
    /// How many sockets had this place before: an event for an earlier one may be among those just taken.
    round: u32,
    told: Option<Rc<Told>>,
}

impl<S: AsFd> Watched<S> {
    /// Registers a socket with the set of this executor.
    ///
    /// # Errors
    /// The kernel has no memory for another, or `fs.epoll.max_user_watches` has been reached.
    pub(crate) fn new(socket: S, fresh: Fresh) -> io::Result<Self> {
        let set = Set::of_executor()?;
        let told = Rc::new(Told {
            // What is already there is reported at once.
            readable: Cell::new(false),
            writable: Cell::new(fresh == Fresh::Connected),
            ended: Cell::new(false),
            reader: Cell::new(None),
            writer: Cell::new(None),
        });
        let (place, data) = set.places.borrow_mut().take(Rc::clone(&told));
        let watched = Self { socket, told, place, set };
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(watched.set.epoll.get_ref(), &watched.socket, data, interest)?;
        Ok(watched)
    }
}

impl<S> Watched<S> {
    /// The socket.
    pub(crate) fn socket(&self) -> &S {
        &self.socket
    }

    /// Ready when a read may return something.
    pub(crate) fn poll_readable(&self, ctx: &mut Context<'_>) -> Poll<()> {
        poll(&self.told.readable, &self.told.reader, ctx)
    }

    /// Whether a read may return something.
    pub(crate) fn is_readable(&self) -> bool {
        self.told.readable.get()
    }

    /// Ready when a write may make progress.
    pub(crate) fn poll_writable(&self, ctx: &mut Context<'_>) -> Poll<()> {
        poll(&self.told.writable, &self.told.writer, ctx)
    }

    /// A read returned less than it had room for, or nothing: there is no more until the kernel says so.
    pub(crate) fn is_drained(&self) {
        self.told.readable.set(self.told.ended.get());
    }

    /// The kernel's news may not have arrived yet: a read should be tried.
    #[cfg(feature = "http")]
    pub(super) fn may_have_more(&self) {
        self.told.readable.set(true);
    }

    /// A write found no room: there is none until the kernel says so.
    pub(crate) fn is_full(&self) {
        self.told.writable.set(self.told.ended.get());
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        // The kernel removes it from the set when it is closed, which happens now: nothing else holds it.
        let _told = self.set.places.borrow_mut().give_back(self.place);
    }
}

fn poll(flag: &Cell<bool>, waiter: &Cell<Option<Waker>>, ctx: &mut Context<'_>) -> Poll<()> {
    if flag.get() {
        return Poll::Ready(());
    }
    let waker = match waiter.take() {
        Some(before) if before.will_wake(ctx.waker()) => before,
        _ => ctx.waker().clone(),
    };
    waiter.set(Some(waker));
    Poll::Pending
}

impl Told {
    fn hear(&self, events: EventFlags) {
        if events.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            self.ended.set(true);
            self.readable.set(true);
        }
        if events.intersects(EventFlags::IN) {
            self.readable.set(true);
        }
        if events.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR) {
            self.writable.set(true);
        }
        for (flag, waiter) in [(&self.readable, &self.reader), (&self.writable, &self.writer)] {
            if flag.get()
                && let Some(waker) = waiter.take()
            {
                waker.wake();
            }
        }
    }
}

impl Set {
    /// The set of the running executor, created for its first socket. It lives as long as the executor.
    fn of_executor() -> io::Result<Rc<Self>> {
        let executor = glommio::executor().id();
        if let Some(set) = SET.with_borrow(|set| set.as_ref().filter(|set| set.executor == executor).cloned())
        {
            return Ok(set);
        }
        let epoll = PollableFd::new(epoll::create(CreateFlags::CLOEXEC)?)?;
        let set = Rc::new(Self { executor, epoll, places: RefCell::default() });
        // What another executor of this thread left behind is dropped here, where nothing is borrowed.
        let _left_behind = SET.with_borrow_mut(|kept| kept.replace(Rc::clone(&set)));
        glommio::spawn_local(gather(Rc::clone(&set))).detach();
        Ok(set)
    }

    /// Takes the kernel's events and wakes the tasks waiting for them.
    fn take_events(&self, events: &mut Vec<Event>) -> io::Result<()> {
        match epoll::wait(self.epoll.get_ref(), spare_capacity(events), Some(&Timespec::default())) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let (flags, data) = (event.flags, event.data);
            let told = self.places.borrow().find(data);
            if let Some(told) = told {
                told.hear(flags);
            }
        }
        Ok(())
    }
}

/// Takes events as they come, a bounded number on each turn of the ring.
async fn gather(set: Rc<Set>) {
    let mut events = Vec::with_capacity(READINESS_EVENTS_MAX);
    loop {
        let told = match set.epoll.readable().await {
            Ok(()) => set.take_events(&mut events),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = told {
            tracing::error!(%error, "failed to poll sockets for readiness; trying again");
            Timer::new(READINESS_PAUSE).await;
        }
    }
}

impl Places {
    fn take(&mut self, told: Rc<Told>) -> (usize, EventData) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.all.push(Place::default());
            self.all.len() - 1
        });
        let place = &mut self.all[at];
        place.told = Some(told);
        // Descriptors are 32 bits wide, and so are places.
        (at, EventData::new_u64(at as u64 | u64::from(place.round) << 32))
    }

    fn give_back(&mut self, at: usize) -> Option<Rc<Told>> {
        let place = &mut self.all[at];
        place.round = place.round.wrapping_add(1);
        self.free.push(at);
        place.told.take()
    }

    fn find(&self, data: EventData) -> Option<Rc<Told>> {
        let (at, round) = (data.u64() as u32, (data.u64() >> 32) as u32);
        let place = self.all.get(at as usize)?;
        place.told.as_ref().filter(|_| place.round == round).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use futures_lite::future::poll_once;
    use glommio::LocalExecutor;

    use super::*;

    fn pair() -> (Watched<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Watched::new(ours, Fresh::Connected).unwrap(), theirs)
    }

    async fn readable(socket: &Watched<UnixStream>) {
        poll_fn(|ctx| socket.poll_readable(ctx)).await;
    }

    fn read(socket: &Watched<UnixStream>) -> usize {
        let count = socket.socket().read(&mut [0; 64]).unwrap();
        socket.is_drained();
        count
    }

    #[test]
    fn arrivals_are_reported_once_and_the_end_forever() {
        LocalExecutor::default().run(async {
            let (ours, mut theirs) = pair();
            assert!(poll_once(readable(&ours)).await.is_none());
            for said in ["a", "bc"] {
                theirs.write_all(said.as_bytes()).unwrap();
                readable(&ours).await;
                assert_eq!(read(&ours), said.len());
                assert!(poll_once(readable(&ours)).await.is_none(), "drained");
            }
            drop(theirs);
            for _ in 0..2 {
                readable(&ours).await;
                assert_eq!(read(&ours), 0);
            }
        });
    }

    #[test]
    fn a_full_socket_is_writable_again_when_there_is_room() {
        LocalExecutor::default().run(async {
            let (ours, mut theirs) = pair();
            let writable = || poll_fn(|ctx| ours.poll_writable(ctx));
            writable().await;
            let mut sent = 0;
            while let Ok(count) = ours.socket().write(&[0; 4_096]) {
                sent += count;
            }
            ours.is_full();
            // Events from before it was full may still be on their way; after that there are none.
            readable_or_nothing(&ours).await;
            let mut taken = vec![0; sent];
            theirs.read_exact(&mut taken).unwrap();
            writable().await;
            assert_eq!(ours.socket().write(&[0; 16]).unwrap(), 16);
        });
    }

    /// Gives events one turn of the ring to arrive.
    async fn readable_or_nothing(socket: &Watched<UnixStream>) {
        glommio::executor().yield_task_queue_now().await;
        assert!(poll_once(readable(socket)).await.is_none());
    }

    #[test]
    fn an_event_of_a_socket_that_is_gone_reaches_no_other_in_its_place() {
        let told = || {
            Rc::new(Told {
                readable: Cell::new(false),
                writable: Cell::new(false),
                ended: Cell::new(false),
                reader: Cell::new(None),
                writer: Cell::new(None),
            })
        };
        let mut places = Places::default();
        let (at, first) = places.take(told());
        assert!(places.find(first).is_some());
        places.give_back(at);
        assert!(places.find(first).is_none());
        let (again, second) = places.take(told());
        assert_eq!(again, at);
        assert!(places.find(first).is_none() && places.find(second).is_some());
    }

    #[test]
    fn a_thread_may_run_one_executor_after_the_other() {
        for _ in 0..2 {
            LocalExecutor::default().run(async {
                let (ours, mut theirs) = pair();
                theirs.write_all(b"a").unwrap();
                readable(&ours).await;
                assert_eq!(read(&ours), 1);
            });
        }
    }
}
