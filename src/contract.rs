//! What a handler is: its contract and its kind, by the words of the documentation and of the database.

use vestibule_protocol::words;

words! {
    /// What a handler is asked to do; the word is also the name of the function that a script exports.
    pub enum Contract {
        /// Decides what a new user is to be.
        CreateUser = "createUser",
        /// Finds the user that an identifier names.
        DiscoverUser = "discoverUser",
        /// Sends a one-time password by text message.
        SendOneTimePassword = "sendOneTimePassword",
    }
}

words! {
    /// Where a handler runs.
    pub enum HandlerKind {
        /// Here, in a sandbox.
        Script = "script",
        /// On a server of the customer.
        Webhook = "webhook",
    }
}

words! {
    /// The outcome of a call, in one word.
    pub enum CallOutcome {
        /// The handler answered.
        Ok = "ok",
        /// The handler failed.
        Failed = "failed",
    }
}
