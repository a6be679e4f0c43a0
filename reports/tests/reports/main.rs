//! Renders a run that was made up: the database's primary is killed and service is gone for 8 s; then one
//! web node is killed and hardly anybody notices.

mod annotations;
mod certificate;
mod certification;
mod fixture;
mod history;
mod html;
mod junit;
mod load;
mod page;
mod snapshots;
mod trend;
mod workflows;
