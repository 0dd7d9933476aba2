//! JSON in and out of a sandbox. Out of it strictly: what JSON cannot say is refused, and never quietly changed.

use rquickjs::{CatchResultExt, CaughtError, Ctx, Function};
use serde_json::Value;

use super::native;

/// Why a value did not come out.
pub(super) enum NotJson<'js> {
    /// Its text is longer than it may be.
    TooLarge,
    /// It is nested too deeply, or has half a character.
    Unfit(String),
    /// Something in it has no word in JSON, it holds itself, or the script threw while it was read.
    Threw(CaughtError<'js>),
}

/// Makes a value of the script's world.
pub(super) fn into_script<'js>(
    ctx: &Ctx<'js>,
    value: &Value,
) -> rquickjs::Result<rquickjs::Value<'js>> {
    ctx.json_parse(value.to_string())
}

/// Reads a value of the script's world. Getters and `toJSON` run, under the script's limits. Nothing is null.
pub(super) fn from_script<'js>(
    ctx: &Ctx<'js>,
    value: rquickjs::Value<'js>,
    bytes_max: usize,
) -> Result<Value, NotJson<'js>> {
    let text = native::registry(ctx)
        .and_then(|registry| registry.get::<_, Function>("strict"))
        .and_then(|strict| ctx.json_stringify_replacer(value, strict))
        .catch(ctx)
        .map_err(NotJson::Threw)?;
    let Some(text) = text else {
        return Ok(Value::Null);
    };
    let text = text.to_string().catch(ctx).map_err(NotJson::Threw)?;
    if text.len() > bytes_max {
        return Err(NotJson::TooLarge);
    }
    serde_json::from_str(&text).map_err(|error| {
        NotJson::Unfit(String::from(match error.to_string() {
            text if text.contains("recursion") => "it is nested too deeply",
            _ => "it holds half a character",
        }))
    })
}
