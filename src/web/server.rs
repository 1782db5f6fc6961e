//! The HTTP servers: bound by the caller, run on threads of their own, stopped by a handle.
//!
//! Promises: requests are served by worker threads that run nothing else, so that readers never delay the data path; a
//! stop lets running requests finish, for one second at most. On failure to start, the error is returned to the caller.

use super::connections::Connections;
use super::cores::Cores;
use super::rest::latest;
use super::safeguards;
use super::state::AppState;
use actix_cors::Cors;
use actix_web::dev::{Extensions, ServerHandle as ActixHandle};
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer};
use futures_util::future::join_all;
use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a stop waits for running requests, so that the process ends within 5 s.
const STOP_TIMEOUT_SECS: u64 = 1;

/// Idle time after which a connection is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Time without any acknowledged data after which the system drops a connection. A live session that stalled was closed
/// before that, but its socket would stay open.
const STALLED_MAX: Duration = Duration::from_secs(60);

/// One port: its listener, its routes and its worker threads.
pub struct Endpoint {
    /// The bound listener.
    pub listener: TcpListener,
    /// Mounts its routes: [`super::routes::rest`], [`super::routes::metrics`], …
    pub routes: fn(&mut ServiceConfig),
    /// Worker threads.
    pub workers: usize,
}

/// The running servers.
pub struct Server {
    handles: Vec<ActixHandle>,
    thread: JoinHandle<io::Result<()>>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts one server per port, all with the same state.
    ///
    /// # Errors
    /// When a listener or a thread cannot be used.
    pub fn start(endpoints: Vec<Endpoint>, state: Arc<AppState>) -> io::Result<Server> {
        let addresses =
            endpoints.iter().map(|endpoint| endpoint.listener.local_addr()).collect::<io::Result<_>>()?;
        let connections = Arc::new(Connections::of_system());
        let (started, start) = mpsc::channel();
        let thread = std::thread::Builder::new().name("web".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let servers: io::Result<Vec<_>> =
                    endpoints.into_iter().map(|endpoint| server(endpoint, &state, &connections)).collect();
                let (servers, result) = match servers {
                    Ok(servers) => {
                        let handles = servers.iter().map(actix_web::dev::Server::handle).collect();
                        (servers, Ok(handles))
                    }
                    Err(error) => (Vec::new(), Err(error)),
                };
                // The receiver waits for this right below; it is gone only if the caller panicked.
                started.send(result).ok();
                join_all(servers).await.into_iter().collect()
            })
        })?;
        let handles: io::Result<Vec<ActixHandle>> =
            start.recv().unwrap_or_else(|_| Err(io::Error::other("the web thread ended at its start")));
        Ok(Server { handles: handles?, thread, addresses })
    }

    /// Returns the addresses of the ports, in the order in which they were given.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// True while the servers run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Stops all servers: no new connections, and running requests finish. Blocks until then, so it must not be called
    /// on an arbiter.
    ///
    /// # Errors
    /// What a server ended with.
    pub fn stop(self) -> io::Result<()> {
        for handle in &self.handles {
            // The command is sent when `stop` returns; its future would only wait for what the join waits for.
            drop(handle.stop(true));
        }
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the web thread panicked")))
    }
}

/// Counts a new connection, sends small answers without delay, and lets the system drop peers that take nothing. Socket
/// options that the system refuses are no reason to refuse the client.
fn prepare(connection: &dyn Any, extensions: &mut Extensions, connections: &Arc<Connections>) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    // The permit is released with the connection.
    if let Some(permit) = connections.admit(stream) {
        extensions.insert(permit);
    }
    stream.set_nodelay(true).ok();
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(stream, STALLED_MAX.as_millis() as u32).ok();
}

fn server(
    endpoint: Endpoint,
    state: &Arc<AppState>,
    connections: &Arc<Connections>,
) -> io::Result<actix_web::dev::Server> {
    let connections = Arc::clone(connections);
    let state = Data::from(Arc::clone(state));
    let routes = endpoint.routes;
    let cores = Arc::new(Cores::for_workers(endpoint.workers));
    // This runs once in each worker thread.
    let server = HttpServer::new(move || {
        cores.pin();
        // Requests that are not admitted never get here. When every page is admitted, answers need not vary by origin. What
        // browsers ask before a request is answered by the path, which knows its methods.
        let cors = if state.visitors.is_open() {
            Cors::default().allow_any_origin().send_wildcard()
        } else {
            Cors::default().allowed_origin_fn(|_, _| true)
        };
        let cors =
            cors.disable_preflight().expose_headers([header::LINK, header::ETAG, latest::UNKNOWN.clone()]);
        App::new().wrap(cors).wrap(from_fn(safeguards::apply)).app_data(state.clone()).configure(routes)
    })
    .workers(endpoint.workers)
    .keep_alive(KEEP_ALIVE)
    .on_connect(move |connection, extensions| prepare(connection, extensions, &connections))
    .shutdown_timeout(STOP_TIMEOUT_SECS)
    .disable_signals()
    .listen(endpoint.listener)?;
    Ok(server.run())
}
