//! temporary
pub(crate) mod admin;
pub(crate) mod output;
pub(crate) mod serve;
use clap::Parser as _;
#[derive(Debug, clap::Parser)]
#[command(name = "hoody", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}
#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Admin(admin::AdminArgs),
}
pub fn run() -> std::process::ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    let result = runtime.block_on(async {
        match &cli.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Admin(args) => admin::run(args).await,
        }
    });
    match result { Ok(()) => 0.into(), Err(e) => { output::note(&format!("hoody: {e:#}")); 1.into() } }
}
