//! JSON into and out of a sandbox. Output is strict: a value that JSON cannot represent is refused, never silently
//! changed.

use rquickjs::{CatchResultExt, CaughtError, Ctx, Function};
use serde_json::Value;

use super::registry;

/// Why a value is not valid JSON output.
pub(super) enum NotJson<'js> {
    /// Its text is longer than the limit.
    TooLarge,
    /// It is nested too deeply, or contains half a surrogate pair.
    Unfit(String),
    /// Some part of it has no JSON form, it contains itself, or the script threw while it was read.
    Threw(CaughtError<'js>),
}

/// Converts a JSON value into a script value.
pub(super) fn into_script<'js>(
    ctx: &Ctx<'js>,
    value: &Value,
) -> rquickjs::Result<rquickjs::Value<'js>> {
    ctx.json_parse(value.to_string())
}

/// Converts a script value into JSON. Getters and `toJSON` run, under the script's limits. `undefined` becomes
/// null.
pub(super) fn from_script<'js>(
    ctx: &Ctx<'js>,
    value: rquickjs::Value<'js>,
    bytes_max: usize,
) -> Result<Value, NotJson<'js>> {
    let text = registry::of(ctx)
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
            _ => "it contains half of a surrogate pair",
        }))
    })
}
