//! Which number: the one that was named, or one chosen from a list on a terminal.

use super::account::Account;
use super::error::NumberError;
use super::routing::Routing;
use crate::doctor::numbers::Number;
use crate::input::Input;

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
    let Input::Terminal(mut terminal) = Input::stdin() else {
        let why = "--number is not given, and there is no terminal to choose one at";
        return Err(NumberError::Usage(format!("{why}; `dialbridge number list` lists the account's numbers")));
    };
    let numbers: Vec<Number> = account.numbers().await?.into_iter().filter(Number::takes_calls).collect();
    if numbers.is_empty() {
        let why = format!("account {} has no number that takes voice calls", account.sid());
        return Err(NumberError::Failed(format!("{why}; buy one in Twilio's console")));
    }
    let lines = numbers.iter().map(|number| format!("{:<16} {}", number.phone_number, Routing::of(number).described()));
    let chosen = terminal.choose("Which number?", lines.collect()).await;
    let chosen = chosen.and_then(|chosen| numbers.into_iter().nth(chosen));
    chosen.ok_or_else(|| NumberError::Usage("no number was chosen".to_owned()))
}
