//! Mail templates of administrators. Built-in templates cannot be changed.

use serde_json::{Value, json};
use vestibule_protocol::purpose::Purpose;

use super::{Admin, AdminFailure, AdminRefusal, find as find_named};
use crate::audit::{AuditEntry, AuditObject, ObjectKind};
use crate::changes::Invalid;
use crate::delivery::template::Templates;
use crate::moment::Moment;
use crate::outgoing::{MessageState, OutgoingMessage};
use crate::refusal::Fault;
use crate::settings::Template;
use crate::store::{self, AdminTransaction, Change, Transaction};

const KIND: ObjectKind = ObjectKind::Template;

/// The parts of a template that a request gives.
#[derive(Clone, Debug, Default)]
pub struct TemplateParts {
    /// The flow that its words belong to; it never changes.
    pub flow: Option<Purpose>,
    /// The language of its words.
    pub language: Option<String>,
    /// Source of the subject.
    pub subject: Option<String>,
    /// Source of the text part.
    pub text: Option<String>,
    /// Source of the HTML part; a mail needs none.
    pub html: Option<String>,
}

/// All templates of administrators, by name.
///
/// # Faults
/// The database is away.
pub async fn list(admin: &Admin<'_>) -> Result<Vec<Template>, Fault> {
    let read = admin.store.read("template.list", &(), |tx, ()| {
        Box::pin(store::template::list(tx))
    });
    read.await
}

/// The template with a developer name.
///
/// # Refusals
/// There is none, or it is built in.
pub async fn load(admin: &Admin<'_>, name: &str) -> Result<Template, AdminFailure> {
    Ok(named(list(admin).await?, name)?)
}

/// Creates a template.
///
/// # Refusals
/// The name is taken or has the wrong form, a part is missing, or a source does not compile.
pub async fn create(
    admin: &Admin<'_>,
    name: String,
    parts: TemplateParts,
) -> Result<Template, AdminFailure> {
    let lacking = |part: &str| Invalid::new(part, "a new template needs it");
    let template = Template {
        name,
        flow: parts.flow.ok_or_else(|| lacking("flow"))?,
        language: parts.language.ok_or_else(|| lacking("language"))?,
        subject: parts.subject.ok_or_else(|| lacking("subject"))?,
        text: parts.text.ok_or_else(|| lacking("text"))?,
        html: parts.html,
        created_at: admin.at,
        updated_at: admin.at,
    };
    check(&template)?;
    admin
        .change("template.create", KIND, template, |tx, template| {
            Box::pin(async move {
                if !store::template::insert(tx, template).await? {
                    return Err(AdminRefusal::taken(KIND, "name", &template.name).into());
                }
                let entry = entry("template.created", template, &Value::Null, &shown(template));
                Ok(Change::made(template.clone(), entry))
            })
        })
        .await
}

/// Changes language or sources; a running server has the change within a second.
///
/// # Refusals
/// There is no such template, its flow is another one, or a source does not compile.
pub async fn update(
    admin: &Admin<'_>,
    name: String,
    parts: TemplateParts,
) -> Result<Template, AdminFailure> {
    let input = (name, parts, admin.at);
    admin
        .change("template.update", KIND, input, |tx, (name, parts, at)| {
            Box::pin(write_update(tx, name, parts, *at))
        })
        .await
}

async fn write_update(
    tx: &mut AdminTransaction<'_, '_>,
    name: &str,
    parts: &TemplateParts,
    at: Moment,
) -> Result<Change<Template>, AdminFailure> {
    let before = named(store::template::list(tx).await?, name)?;
    if parts.flow.is_some_and(|flow| flow != before.flow) {
        let reason = format!("{name:?} belongs to another flow, and that cannot be changed");
        return Err(AdminRefusal::invalid("flow", reason).into());
    }
    let parts = parts.clone();
    let after = Template {
        language: parts.language.unwrap_or_else(|| before.language.clone()),
        subject: parts.subject.unwrap_or_else(|| before.subject.clone()),
        text: parts.text.unwrap_or_else(|| before.text.clone()),
        html: parts.html.or_else(|| before.html.clone()),
        updated_at: at,
        ..before.clone()
    };
    check(&after)?;
    let (was, is) = (shown(&before), shown(&after));
    if was == is {
        return Ok(Change::Nothing(before));
    }
    store::template::update(tx, &after).await?;
    let entry = entry("template.updated", &after, &was, &is);
    Ok(Change::made(after, entry))
}

/// Deletes a template that no site names.
///
/// # Refusals
/// There is no such template, it is built in, or a site names it.
pub async fn delete(admin: &Admin<'_>, name: &str) -> Result<Template, AdminFailure> {
    admin
        .change("template.delete", KIND, name.to_owned(), |tx, name| {
            Box::pin(async move {
                let by = who_names(tx, name).await?;
                if !by.is_empty() {
                    let name = name.clone();
                    return Err(AdminRefusal::InUse { name, by }.into());
                }
                let template = named(store::template::list(tx).await?, name)?;
                store::template::delete(tx, name).await?;
                let before = shown(&template);
                let entry = entry("template.deleted", &template, &before, &Value::Null);
                Ok(Change::made(template, entry))
            })
        })
        .await
}

/// The settings that name a template.
async fn who_names(tx: &mut Transaction<'_>, name: &str) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for site in store::site::list(tx).await? {
        let named = site.settings.named_templates();
        let settings = named.iter().filter(|(_, named)| *named == name);
        found.extend(settings.map(|(setting, _)| format!("{setting} of site {}", site.name)));
    }
    Ok(found)
}

/// Queues a sample of a mail, which a running server sends. It is no change of the template.
///
/// # Faults
/// The database is away.
pub async fn queue_sample(admin: &Admin<'_>, message: OutgoingMessage) -> Result<(), Fault> {
    let insert = admin.store.write("outbox.insert", message, |tx, message| {
        Box::pin(store::outbox::insert(tx, message))
    });
    insert.await
}

/// What has become of a sample, by its recipient and its id.
///
/// # Faults
/// The database is away.
pub async fn find_sample(
    admin: &Admin<'_>,
    recipient: &str,
    id: &str,
) -> Result<Option<MessageState>, Fault> {
    let messages = admin
        .store
        .read("outbox.list", &recipient.to_owned(), |tx, recipient| {
            Box::pin(store::outbox::list_recent(tx, recipient))
        })
        .await?;
    Ok(messages.into_iter().find(|message| message.id == id))
}

fn check(template: &Template) -> Result<(), Invalid> {
    template
        .check_names()
        .map_err(|reason| Invalid::new("name", reason))?;
    let (subject, text) = (&template.subject, &template.text);
    Templates::compile_custom(&template.language, subject, text, template.html.as_deref())
        .map_err(|problem| Invalid::new("template", problem.to_string()))?;
    Ok(())
}

fn named(templates: Vec<Template>, name: &str) -> Result<Template, AdminRefusal> {
    if Purpose::of_built_in_template(name).is_some() {
        let reason = format!(
            "{name:?} is built in and cannot be changed; copy it: template create NAME --like {name:?}"
        );
        return Err(AdminRefusal::invalid("name", reason));
    }
    find_named(KIND, templates, name, |template| {
        [&template.name, &template.name]
    })
}

/// A template as audit events compare it.
fn shown(template: &Template) -> Value {
    json!({
        "name": template.name, "flow": template.flow.as_str(), "language": template.language,
        "subject": template.subject, "text": template.text, "html": template.html,
    })
}

fn entry(event: &'static str, template: &Template, before: &Value, after: &Value) -> AuditEntry {
    let object = AuditObject::new(KIND, &template.name, &template.name);
    AuditEntry::new(event, object, before, after)
}
