//! The mail templates of administrators.

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{AdminTransaction, Transaction};
use crate::refusal::Fault;
use crate::settings::Template;

statements! {
    DELETE = "DELETE FROM template WHERE name = $1";
    INSERT = "INSERT INTO template (name, flow, language, channel, subject, text, html, created_at, updated_at)
        VALUES ($1, $2, $3, 'email', $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    LIST = "SELECT name, flow, language, subject, text, html, created_at, updated_at FROM template
        WHERE channel = 'email' ORDER BY name";
    UPDATE = "UPDATE template SET language = $2, subject = $3, text = $4, html = $5, updated_at = $6
        WHERE name = $1";
}

/// Inserts a new template; false when the name is taken.
pub async fn insert(tx: &mut AdminTransaction<'_, '_>, template: &Template) -> Result<bool, Fault> {
    let values = bind![
        &template.name,
        template.flow.as_str(),
        &template.language,
        &template.subject,
        &template.text,
        template.html.as_deref(),
        template.created_at,
        template.updated_at
    ];
    Ok(tx.execute(&INSERT, values).await? == 1)
}

/// Updates language and sources of a template; false when none has that name.
pub async fn update(tx: &mut AdminTransaction<'_, '_>, template: &Template) -> Result<bool, Fault> {
    let values = bind![
        &template.name,
        &template.language,
        &template.subject,
        &template.text,
        template.html.as_deref(),
        template.updated_at
    ];
    Ok(tx.execute(&UPDATE, values).await? == 1)
}

/// Deletes a template; false when none has that name.
pub async fn delete(tx: &mut AdminTransaction<'_, '_>, name: &str) -> Result<bool, Fault> {
    Ok(tx.execute(&DELETE, bind![name]).await? == 1)
}

/// All templates, by name.
pub async fn list(tx: &mut Transaction<'_>) -> Result<Vec<Template>, Fault> {
    tx.list(&LIST, &[]).await
}

impl Record for Template {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        Ok(Template {
            name: row.next()?,
            flow: row.next_word("flow")?,
            language: row.next()?,
            subject: row.next()?,
            text: row.next()?,
            html: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
        })
    }
}
