//! Which number: the one that was named, or one chosen from a list on a terminal.

use std::io::{IsTerminal, stdin};

use super::account::Account;
use super::error::NumberError;
use super::routing::Routing;
use crate::configure::Input;
use crate::doctor::numbers::Number;

/// The number that was named, or chosen now.
///
/// # Errors
/// When there is no such number, or nobody to choose one.
pub(crate) async fn chosen(account: &Account, named: Option<&str>) -> Result<Number, NumberError> {
    if let Some(named) = named {
        return match account.find(named).await? {
            number if number.takes_calls() => Ok(number),
            _ => Err(NumberError::Failed(format!("{named} takes no voice calls; choose another number"))),
        };
    }
    if !stdin().is_terminal() {
        let why = "--number is not given, and there is no terminal to choose one at";
        return Err(NumberError::Usage(format!("{why}; `dialbridge number list` lists the account's numbers")));
    }
    let numbers: Vec<Number> = account.numbers().await?.into_iter().filter(Number::takes_calls).collect();
    if numbers.is_empty() {
        let why = format!("account {} has no number that takes voice calls", account.sid());
        return Err(NumberError::Failed(format!("{why}; buy one in Twilio's console")));
    }
    ask(numbers).await
}

async fn ask(mut numbers: Vec<Number>) -> Result<Number, NumberError> {
    let lines = numbers
        .iter()
        .enumerate()
        .map(|(n, number)| format!("{:>3}  {:<16} {}\n", n + 1, number.phone_number, Routing::of(number).described()));
    let list: String = lines.collect();
    let mut input = Input::stdin();
    let mut prompt = format!("{list}Which one (1 to {})? ", numbers.len());
    loop {
        let answer = input.ask(&prompt).await.ok_or_else(|| NumberError::Usage("no number was chosen".to_owned()))?;
        match answer.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < numbers.len()) {
            Some(n) => return Ok(numbers.swap_remove(n)),
            None => prompt = format!("A number from 1 to {}: ", numbers.len()),
        }
    }
}
