//! Where the servers listen, and the browser that is shown the dashboard.
//!
//! Promises: every port is bound before anything else is opened, so that one in use is found at once. On failure: an error that
//! tells an address that is not ours from one that is in use, and names the key.

use crate::config::{Config, ListenAddress};
use crate::web::routes;
use crate::web::server::{Endpoint, Server};
use crate::web::state::AppState;
use anyhow::Context;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// The place of the dashboard among the servers.
pub(super) const DASHBOARD: usize = 2;

/// The ports, bound before anything else is started, so that a port in use is found at once.
pub(super) struct Listeners {
    rest: TcpListener,
    websocket: TcpListener,
    dashboard: TcpListener,
    metrics: TcpListener,
}

impl Listeners {
    /// Binds every port.
    ///
    /// # Errors
    /// When nothing can listen on an address; the error says what to do.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Listeners> {
        let server = &config.server;
        Ok(Listeners {
            rest: bind("server.rest", &server.rest)?,
            websocket: bind("server.websocket", &server.websocket)?,
            dashboard: bind("server.dashboard", &server.dashboard)?,
            metrics: bind("server.metrics", &server.metrics)?,
        })
    }

    /// Starts the servers, and logs where each one listens.
    ///
    /// # Errors
    /// When a server cannot be started.
    pub(super) fn serve(self, config: &Config, state: Arc<AppState>) -> anyhow::Result<Server> {
        let workers = config.server.workers;
        let endpoints = vec![
            Endpoint { listener: self.rest, routes: routes::rest, workers },
            Endpoint { listener: self.websocket, routes: routes::websocket, workers },
            Endpoint { listener: self.dashboard, routes: routes::dashboard, workers: 1 },
            Endpoint { listener: self.metrics, routes: routes::metrics, workers: 1 },
        ];
        let server = Server::start(endpoints, state).context("failed to start the web servers")?;
        let names = [("REST", "http"), ("WebSocket", "ws"), ("dashboard", "http"), ("metrics", "http")];
        for ((name, scheme), address) in names.iter().zip(server.addresses()) {
            tracing::info!("{name} listens on {scheme}://{address}");
        }
        Ok(server)
    }
}

fn bind(key: &str, address: &ListenAddress) -> anyhow::Result<TcpListener> {
    TcpListener::bind((address.host.as_str(), address.port)).map_err(|error| {
        let advice = bind_advice(key, address, error.kind());
        anyhow::Error::new(error).context(format!("failed to listen on {address}: {advice}"))
    })
}

/// Says what to do where nothing can listen on an address.
fn bind_advice(key: &str, address: &ListenAddress, fault: ErrorKind) -> String {
    let host = &address.host;
    match fault {
        ErrorKind::AddrInUse => {
            format!("it is in use; stop what uses it, or set `{key}` to another port or to 0")
        }
        ErrorKind::AddrNotAvailable => {
            format!(
                "`{host}` is not an address of this machine; set `{key}` to one that is, such as 127.0.0.1 or 0.0.0.0"
            )
        }
        ErrorKind::PermissionDenied => {
            format!(
                "port {} needs rights that this user lacks; set `{key}` to a port from 1024 up",
                address.port
            )
        }
        _ => format!("set `{key}` to an address of this machine"),
    }
}

/// Has the browser show the dashboard. A machine without a browser is no reason to stop.
pub(super) fn show_dashboard(address: SocketAddr) {
    // A browser cannot connect to "every address"; loopback is among them.
    let host = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv6() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let url = format!("http://{}/", SocketAddr::new(host, address.port()));
    match open::that_detached(&url) {
        Ok(()) => tracing::info!("the browser is asked to show {url}"),
        Err(error) => tracing::warn!(%error, "no browser can be started; open {url} yourself"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_not_ours_is_told_from_one_that_is_in_use() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let used: ListenAddress = taken.local_addr().unwrap().to_string().parse().unwrap();
        // 192.0.2.0/24 is for examples: no machine has an address of it.
        let foreign: ListenAddress = "192.0.2.1:0".parse().unwrap();
        let said = |address: &ListenAddress| format!("{:#}", bind("server.rest", address).unwrap_err());
        let in_use = said(&used);
        assert!(in_use.contains("in use; stop what uses it") && in_use.contains("`server.rest`"), "{in_use}");
        let not_ours = said(&foreign);
        assert!(not_ours.contains("`192.0.2.1` is not an address of this machine"), "{not_ours}");
        assert!(!not_ours.contains("in use"), "{not_ours}");
        let forbidden = bind_advice("server.rest", &used, ErrorKind::PermissionDenied);
        assert!(forbidden.contains("from 1024 up"), "{forbidden}");
    }
}
