//! One page of 1 KB, again and again. Users, rate and time come from goose's own options.

use goose::prelude::*;

/// Reads the page to its end, as all clients of the comparison do.
async fn page(user: &mut GooseUser) -> TransactionResult {
    let answer = user.get("/1k").await?;
    if let Ok(response) = answer.response {
        let _body = response.bytes().await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let page = scenario!("page").register_transaction(transaction!(page));
    GooseAttack::initialize()?.register_scenario(page).execute().await?;
    Ok(())
}
