//! A TCP proxy between the program and a service, through which a test takes the service away: it closes connections, holds
//! them, slows them down, or resets them in the middle of what is being sent.

use rustix::net::sockopt::set_socket_linger;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of connections, those that are open and those that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// Open connections are closed, new ones as soon as they are made.
    Close,
    /// Connections are taken and kept, and nothing passes.
    Hang,
    /// What the program sends passes this much later, piece by piece.
    Slow(Duration),
    /// A connection is reset once the program has sent this many bytes over it from now on.
    Reset(u64),
}

/// A proxy on a free port. It ends with its value.
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    resets: AtomicU64,
}

impl Proxy {
    /// Starts a proxy before the service at an address.
    pub fn start(target: SocketAddr) -> Proxy {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, watched) = watch::channel(Mode::Pass);
        let counts = Arc::<Counts>::default();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let counted = Arc::clone(&counts);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let serve = async {
                    loop {
                        let (client, _) = listener.accept().await.unwrap();
                        tokio::spawn(connection(client, target, watched.clone(), Arc::clone(&counted)));
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Proxy { address, mode, counts, thread: Some(thread), stop: Some(stop) }
    }

    /// Starts a proxy before the service on a port of this machine.
    pub fn before(port: u16) -> Proxy {
        Proxy::start(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// Returns its port on this machine.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what becomes of connections.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Returns the number of connections made so far.
    pub fn num_connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that were reset.
    pub fn num_resets(&self) -> u64 {
        self.counts.resets.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// How one direction of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

async fn connection(
    client: TcpStream,
    target: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    counts: Arc<Counts>,
) {
    counts.connections.fetch_add(1, Ordering::Relaxed);
    if *mode.borrow_and_update() == Mode::Close {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut up = Pipe { from: from_client, to: to_server, mode: mode.clone(), is_up: true, sent: 0 };
    let mut down = Pipe { from: from_server, to: to_client, mode, is_up: false, sent: 0 };
    let end = tokio::select! {
        end = up.run() => end,
        end = down.run() => end,
    };
    if end == End::Reset {
        counts.resets.fetch_add(1, Ordering::Relaxed);
        // What is closed without lingering is reset.
        for socket in [up.from.as_ref(), down.from.as_ref()] {
            set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
        }
    }
}

struct Pipe {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mode: watch::Receiver<Mode>,
    /// From the program to the service.
    is_up: bool,
    /// Bytes that passed since the mode changed.
    sent: u64,
}

impl Pipe {
    async fn run(&mut self) -> End {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let len = tokio::select! {
                read = self.from.read(&mut buffer) => match read {
                    Ok(len) if len > 0 => len,
                    _ => return End::Closed,
                },
                _ = self.mode.changed() => {
                    self.sent = 0;
                    if *self.mode.borrow_and_update() == Mode::Close {
                        return End::Closed;
                    }
                    continue;
                }
            };
            if let Some(end) = self.pass(&buffer[..len]).await {
                return end;
            }
        }
    }

    /// Passes a piece on; gives how the connection ends, if it does.
    async fn pass(&mut self, piece: &[u8]) -> Option<End> {
        let mut has_waited = false;
        loop {
            let mode = *self.mode.borrow_and_update();
            match mode {
                Mode::Close => return Some(End::Closed),
                Mode::Hang => {
                    if self.mode.changed().await.is_err() {
                        return Some(End::Closed);
                    }
                    self.sent = 0;
                }
                Mode::Slow(pause) if self.is_up && !has_waited => {
                    has_waited = true;
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = self.mode.changed() => self.sent = 0,
                    }
                }
                Mode::Reset(after) if self.is_up && self.sent + piece.len() as u64 > after => {
                    let room = usize::try_from(after.saturating_sub(self.sent)).unwrap();
                    self.to.write_all(&piece[..room.min(piece.len())]).await.ok();
                    return Some(End::Reset);
                }
                Mode::Pass | Mode::Slow(_) | Mode::Reset(_) => {
                    self.sent += piece.len() as u64;
                    return self.to.write_all(piece).await.is_err().then_some(End::Closed);
                }
            }
        }
    }
}

mod tests {
    use super::{Mode, Proxy};
    use crate::support::process::wait_for;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// Starts a service that says what it hears. It ends with its last connection.
    fn echo(num_connections: usize) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(num_connections) {
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut copy = stream.try_clone().unwrap();
                    std::io::copy(&mut stream, &mut copy).ok();
                });
            }
        });
        port
    }

    fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
        stream.write_all(text.as_bytes())?;
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard)?;
        Ok(String::from_utf8(heard).unwrap())
    }

    #[test]
    fn a_proxy_passes_holds_closes_and_resets() {
        let proxy = Proxy::before(echo(3));
        let connect = || TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let mut stream = connect();
        assert_eq!(say(&mut stream, "hello").unwrap(), "hello");

        proxy.set(Mode::Hang);
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let held = say(&mut stream, "later").unwrap_err();
        assert!(matches!(held.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{held}");
        proxy.set(Mode::Slow(Duration::from_millis(1)));
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"later");

        proxy.set(Mode::Close);
        assert_eq!(stream.read(&mut heard).unwrap_or(0), 0);
        let mut refused = connect();
        assert_eq!(refused.read(&mut heard).unwrap_or(0), 0);

        proxy.set(Mode::Reset(3));
        let mut stream = connect();
        assert_eq!(say(&mut stream, "ab").unwrap(), "ab");
        let reset = say(&mut stream, "cd").unwrap_err();
        assert!(matches!(reset.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof), "{reset}");
        wait_for("the count", || (proxy.num_resets() == 1).then_some(()));
        proxy.set(Mode::Pass);
        assert_eq!(say(&mut connect(), "again").unwrap(), "again");
        assert_eq!(proxy.num_connections(), 4);
    }
}
