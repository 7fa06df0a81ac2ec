//! `rnostr <configuration file>`: the relay with the extensions that concern private messages.

use nostr_relay::App;

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = std::env::args()
        .nth(1)
        .ok_or("usage: rnostr <configuration file>")?;
    let app = App::create(Some(config), false, None, None)?;
    let db = app.db.clone();
    app.add_extension(nostr_extensions::Auth::new())
        .add_extension(nostr_extensions::Count::new(db))
        .web_server()?
        .await?;
    Ok(())
}
