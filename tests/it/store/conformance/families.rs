//! Token families: complete, rotated once, ended once, and swept after their end.

use vestibule::identity::User;
use vestibule::moment::Moment;
use vestibule::store;
use vestibule::store::family::{NewFamily, TokenFamily};
use vestibule::store::sweep::Horizon;
use vestibule::store::token::AccessToken;
use vestibule::token::Replaced;

use super::people::user;
use super::{in_change, in_read, in_write};
use crate::fixture::{START, Site, on_both_databases};

const SITE_ID: &str = "0DB000000000001AAA";
const USER_ID: &str = "005000000000001AAA";

fn family(name: u8) -> NewFamily {
    NewFamily {
        code_hash: [name; 32],
        client_id: String::from("3MVGa"),
        user_id: USER_ID.to_owned(),
        site_id: SITE_ID.to_owned(),
        scope: String::from("openid refresh_token"),
        auth_at: START.plus_seconds(-3),
        amr: String::from("otp"),
        session_generation: 0,
        token_hash: [10; 32],
        created_at: START,
        expires_at: None,
        uvid: None,
        client_key: None,
    }
}

/// Inserts a user and token families of the user.
async fn insert(site: &Site, families: Vec<NewFamily>) {
    let user = user(site, USER_ID, "janice@example.com").await;
    in_write!(site, (user, families), |tx, input| {
        store::user::insert(tx, &input.0).await?;
        for family in &input.1 {
            store::family::insert(tx, family).await?;
        }
        Ok(())
    });
}

async fn find(site: &Site, name: u8) -> Option<TokenFamily> {
    in_read!(site, &name, |tx, name| store::family::find(
        tx,
        &[*name; 32],
        SITE_ID
    )
    .await)
}

async fn replace(site: &Site, token: u8, successor: u8, at: Moment) -> bool {
    in_write!(site, (token, successor, at), |tx, input| {
        let replaced = Replaced {
            token_hash: [input.0; 32],
            salt: [7; 16],
            at: input.2,
        };
        store::family::replace(tx, &[1; 32], &replaced, &[input.1; 32], None).await
    })
}

async fn end(site: &Site, name: u8, at: Moment) -> bool {
    in_write!(site, (name, at), |tx, input| store::family::end(
        tx,
        &[input.0; 32],
        input.1
    )
    .await)
}

on_both_databases! {
    async fn a_family_is_loaded_unchanged_with_its_user(site: Site) {
        insert(&site, vec![NewFamily { expires_at: Some(START.plus_seconds(60)), ..family(1) }]).await;
        let found = find(&site, 1).await.expect("it is there");
        assert_eq!((found.client_id.as_str(), found.scope.as_str()), ("3MVGa", "openid refresh_token"));
        assert_eq!((found.auth_at, found.amr.as_str()), (START.plus_seconds(-3), "otp"));
        assert_eq!((found.created_at, found.last_used_at), (START, START));
        assert_eq!(found.state.token_hash, [10; 32]);
        assert!(found.state.replaced.is_none() && found.state.ended_at.is_none());
        assert_eq!(found.state.expires_at, Some(START.plus_seconds(60)));
        assert_eq!(found.user.id, USER_ID);
        assert!(find(&site, 2).await.is_none());
        let elsewhere = in_read!(site, |tx| store::family::find(tx, &[1; 32], "0DB000000000002AAA").await);
        assert!(elsewhere.is_none());
    }
}

on_both_databases! {
    async fn the_current_token_is_replaced_once(site: Site) {
        insert(&site, vec![family(1)]).await;
        let at = START.plus_seconds(5);
        assert!(replace(&site, 10, 11, at).await);
        assert!(!replace(&site, 10, 12, at).await, "it is the good one no more");
        let found = find(&site, 1).await.unwrap();
        let replaced = found.state.replaced.expect("one was replaced");
        assert_eq!((found.state.token_hash, replaced.token_hash), ([11; 32], [10; 32]));
        assert_eq!((replaced.salt, replaced.at, found.last_used_at), ([7; 16], at, at));

        let repeat = async |token: u8| in_write!(site, token, |tx, token| {
            store::family::note_repeat(tx, &[1; 32], &[*token; 32], START).await
        });
        assert!(repeat(10).await);
        assert!(!repeat(11).await, "the good one is no repetition");
        assert!(replace(&site, 11, 12, at).await);
        assert!(!repeat(10).await, "the family has moved on");
    }
}

on_both_databases! {
    async fn only_a_use_of_the_current_token_is_recorded(site: Site) {
        insert(&site, vec![family(1)]).await;
        let at = START.plus_seconds(9);
        let note = async |token: u8| in_write!(site, (token, at), |tx, input| {
            store::family::note_use(tx, &[1; 32], &[input.0; 32], input.1, Some(input.1)).await
        });
        assert!(!note(11).await);
        assert!(note(10).await);
        let found = find(&site, 1).await.unwrap();
        assert_eq!((found.last_used_at, found.state.expires_at), (at, Some(at)));
    }
}

on_both_databases! {
    async fn a_family_ends_once_with_its_access_tokens_and_does_not_change_afterwards(site: Site) {
        insert(&site, vec![family(1), family(2)]).await;
        for (hash, name) in [(1, 1), (2, 2)] {
            let token = AccessToken {
                token_hash: [hash; 32], code_hash: Some([name; 32]), client_id: "3MVGa".into(),
                user_id: USER_ID.into(), site_id: SITE_ID.into(), scope: "openid".into(),
                session_generation: 0, issued_at: START, expires_at: START.plus_seconds(60),
            };
            in_write!(site, token, |tx, token| store::token::insert(tx, token).await);
        }
        assert!(end(&site, 1, START).await);
        assert!(!end(&site, 1, START.plus_seconds(1)).await);
        assert!(!end(&site, 3, START).await, "there is none such");
        assert_eq!(find(&site, 1).await.unwrap().state.ended_at, Some(START));
        assert!(!replace(&site, 10, 11, START).await);
        assert_eq!(site.count("SELECT COUNT(*) FROM access_token WHERE revoked_at IS NULL").await, 1);
        assert!(find(&site, 2).await.unwrap().state.ended_at.is_none());
    }
}

on_both_databases! {
    async fn one_token_is_revoked_by_site_and_client(site: Site) {
        insert(&site, vec![]).await;
        let token = AccessToken {
            token_hash: [1; 32], code_hash: None, client_id: "3MVGa".into(), user_id: USER_ID.into(),
            site_id: SITE_ID.into(), scope: "openid".into(), session_generation: 0, issued_at: START,
            expires_at: START.plus_seconds(60),
        };
        in_write!(site, token, |tx, token| store::token::insert(tx, token).await);
        let revoke = async |site_id: &'static str, client: Option<&'static str>| {
            in_write!(site, (site_id, client), |tx, input| {
                store::token::revoke(tx, &[1; 32], input.0, input.1, START).await
            })
        };
        assert!(revoke("0DB000000000002AAA", None).await.is_none());
        assert!(revoke(SITE_ID, Some("3MVGb")).await.is_none());
        let revoked = revoke(SITE_ID, Some("3MVGa")).await.expect("it was good");
        assert_eq!((revoked.client_id.as_str(), revoked.user_id.as_str()), ("3MVGa", USER_ID));
        assert!(revoke(SITE_ID, None).await.is_none(), "once");
    }
}

on_both_databases! {
    async fn the_sweep_takes_families_a_day_after_their_end(site: Site) {
        let expired = NewFamily { expires_at: Some(START), ..family(1) };
        insert(&site, vec![expired, family(2), family(3)]).await;
        end(&site, 3, START).await;
        let sweep = async |at: Moment| in_write!(site, Horizon::at(at), |tx, horizon| {
            store::sweep::sweep(tx, horizon).await
        });
        assert_eq!(sweep(START.plus_seconds(25 * 3_600)).await, 0);
        assert_eq!(sweep(START.plus_seconds(25 * 3_600 + 1)).await, 2);
        assert!(find(&site, 2).await.is_some(), "what has no end stays");
    }
}

on_both_databases! {
    async fn the_sweep_takes_families_a_day_after_their_user_s_sessions_were_ended(site: Site) {
        for (name, ends) in [(1, "lock"), (2, "disable"), (3, "reset")] {
            let user_id = format!("00500000000000{name}AAA");
            let user = User {
                locked_at: None,
                disabled_at: None,
                ..user(&site, &user_id, &format!("user{name}@example.com")).await
            };
            let families = [name, name + 10].map(|name| NewFamily { user_id: user_id.clone(), ..family(name) });
            in_change!(site, (user, families, ends), |tx, input| {
                store::user::insert(tx, &input.0).await?;
                for family in &input.1 {
                    store::family::insert(tx, family).await?;
                }
                let id = &input.0.id;
                match input.2 {
                    "lock" => assert!(store::user::lock(tx, id, START).await?),
                    "disable" => assert!(store::user::disable(tx, id, START).await?),
                    _ => store::user::end_sessions(tx, id, START).await?,
                }
                Ok(())
            });
            let state = find(&site, name).await.expect("it is kept for a day").state;
            assert_eq!(state.ended_at, Some(START), "{ends}");
        }
        insert(&site, vec![family(4)]).await;
        let sweep = async |at: Moment| in_write!(site, Horizon::at(at), |tx, horizon| {
            store::sweep::sweep(tx, horizon).await
        });
        assert_eq!(sweep(START.plus_seconds(25 * 3_600)).await, 0);
        assert_eq!(sweep(START.plus_seconds(25 * 3_600 + 1)).await, 6);
        assert!(find(&site, 4).await.is_some(), "what has no end stays");
    }
}
