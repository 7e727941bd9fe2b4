//! The `meridian` command: parse, install the TLS provider, run; nothing else.

use clap::Parser;
use meridian::cli::Cli;
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Several libraries can bring a TLS provider; this one is the process's.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("meridian: another TLS provider was installed before ours");
        return ExitCode::FAILURE;
    }
    cli.run()
}
