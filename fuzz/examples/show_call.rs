//! Prints an input of the target `call` as settings and operations.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

fn main() -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        let Some((settings, operations)) = dialbridge_fuzz::call::read(&std::fs::read(&file)?) else {
            println!("{}: nothing", file.display());
            continue;
        };
        println!("{}: {settings:#?}", file.display());
        operations.iter().for_each(|operation| println!("{operation:?}"));
    }
    Ok(())
}
