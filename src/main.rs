//! The binary. Everything it does stands in the library, under `cli`.

fn main() -> std::process::ExitCode {
    vestibule::cli::main()
}
