//! Sites and their settings, which are one JSON column.

use super::row::{Record, Row};
use super::statement::{bind, statements};
use super::{AdminTransaction, Readable, Transaction};
use crate::refusal::Fault;
use crate::settings::{Settings, Site};

statements! {
    INSERT = "INSERT INTO site (id, name, base_url, settings, activated_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    LIST = "SELECT id, name, base_url, settings, activated_at, created_at FROM site
        ORDER BY created_at, id";
    UPDATE = "UPDATE site SET base_url = $2, settings = $3, activated_at = $4 WHERE id = $1";
}

/// Inserts a new site; false when the name or the base URL is taken.
pub async fn insert(tx: &mut AdminTransaction<'_, '_>, site: &Site) -> Result<bool, Fault> {
    let settings = settings_text(&site.settings)?;
    let values = bind![
        &site.id,
        &site.name,
        &site.base_url,
        &settings,
        site.activated_at,
        site.created_at
    ];
    Ok(tx.execute(&INSERT, values).await? == 1)
}

/// All sites, oldest first.
pub async fn list(tx: &mut Transaction<'_>) -> Result<Vec<Site>, Fault> {
    tx.list(&LIST, &[]).await
}

/// The sites that can be read, oldest first. Another one is out of service, and the rest is served.
pub async fn list_readable(tx: &mut Transaction<'_>) -> Result<Readable<Site>, Fault> {
    tx.list_readable(&LIST, &[]).await
}

/// Updates the base URL, the settings and the activation of a site.
pub async fn update(tx: &mut AdminTransaction<'_, '_>, site: &Site) -> Result<bool, Fault> {
    let settings = settings_text(&site.settings)?;
    let values = bind![&site.id, &site.base_url, &settings, site.activated_at];
    Ok(tx.execute(&UPDATE, values).await? == 1)
}

fn settings_text(settings: &Settings) -> Result<String, Fault> {
    serde_json::to_string(settings).map_err(|error| Fault::new("writing settings", error))
}

impl Record for Site {
    fn read(row: &mut Row<'_>) -> Result<Self, Fault> {
        let id = row.next()?;
        let name: String = row.next()?;
        Ok(Site {
            id,
            base_url: row.next()?,
            settings: row.next_settings(&format!("site {name}"))?,
            activated_at: row.next()?,
            created_at: row.next()?,
            name,
        })
    }
}
