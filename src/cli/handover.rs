//! How a process comes by its sockets and passes them on: the flags, what systemd hands over and is
//! told, and the successor that SIGUSR2 starts.

use crate::{
    controller::{Handover, Identity},
    server::Handed,
};
use anyhow::Context;
use clap::Args;
use listenfd::ListenFd;
use std::{
    env,
    ffi::OsStr,
    os::{linux::net::SocketAddrExt, unix::net},
    path::{Path, PathBuf},
    process::ExitStatus,
};

/// The flags of upgrades.
#[derive(Args, Debug)]
#[command(next_help_heading = "Upgrades")]
pub(super) struct HandoverArgs {
    /// Unix socket where a new process asks the running one for its sockets; handover.sock in the
    /// state directory when not given
    #[arg(long, value_name = "PATH")]
    handover_socket: Option<PathBuf>,
    /// Take the place of the process that runs with the same --handover-socket or --state-dir, and
    /// its sockets, once this one can answer; start as usual where none runs
    #[arg(long)]
    take_over: bool,
}

impl HandoverArgs {
    pub(super) fn options(
        &self,
        state: Option<&Path>,
        user: Option<&Identity>,
    ) -> anyhow::Result<Handover> {
        let socket = self.handover_socket.clone().or(state.map(|own| own.join("handover.sock")));
        if self.take_over && socket.is_none() {
            anyhow::bail!(
                "--take-over with --no-state needs --handover-socket: the path where the running \
                 process is asked"
            );
        }
        Ok(Handover { socket, take: self.take_over, user: user.map(Identity::uid) })
    }
}

/// The sockets that a service manager opened for us (`LISTEN_FDS`, sd_listen_fds(3)).
pub(super) fn handed() -> anyhow::Result<Handed> {
    let (mut opened, mut handed) = (ListenFd::from_env(), Handed::default());
    for place in 0..opened.len() {
        // Which of the two it is shows when it is taken for it.
        match opened.take_tcp_listener(place) {
            Ok(Some(listener)) => handed.add(listener.into())?,
            _ => {
                let socket = opened.take_udp_socket(place).with_context(|| {
                    format!("socket {place} of LISTEN_FDS is for neither TCP nor UDP; see its unit")
                })?;
                socket.map(|socket| handed.add(socket.into())).transpose()?;
            }
        }
    }
    Ok(handed)
}

/// Starts the program that is installed now in our place, with our flags: it asks us for the
/// sockets. Ends when it ends, which is after us where all goes well.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn successor() -> std::io::Result<ExitStatus> {
    let mut words = env::args_os();
    let program = words.next().unwrap_or_else(|| "meridian".into());
    let mut command = tokio::process::Command::new(program);
    command.args(words);
    if !env::args_os().any(|word| word == OsStr::new(TAKE_OVER)) {
        command.arg(TAKE_OVER);
    }
    // These were for us.
    command.env_remove("LISTEN_FDS").env_remove("LISTEN_PID");
    command.spawn()?.wait().await
}

const TAKE_OVER: &str = "--take-over";

/// Tells the service manager that we serve, and that we are the main process (sd_notify(3)).
pub(super) fn tell_manager() {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return };
    let told = || -> std::io::Result<()> {
        let name = path.as_encoded_bytes();
        let address = match name.split_first() {
            Some((b'@', name)) => net::SocketAddr::from_abstract_name(name)?,
            _ => net::SocketAddr::from_pathname(&path)?,
        };
        let text = format!("READY=1\nMAINPID={}\n", std::process::id());
        net::UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
    };
    if let Err(error) = told() {
        tracing::warn!("{} takes no notice ({error})", path.display());
    }
}
