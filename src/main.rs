//! The binary. Everything that it does is in the library, under `cli`.

fn main() -> std::process::ExitCode {
    vestibule::cli::main()
}
