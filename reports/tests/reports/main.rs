//! Renders a run that was made up: the database's primary is killed and service is gone for 8 s; then one
//! web node is killed and hardly anybody notices.

mod fixture;
mod html;
mod load;
mod page;
mod snapshots;
