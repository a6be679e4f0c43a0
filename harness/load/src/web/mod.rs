//! The shop as a browser sees it: pages, forms, cookies, and tasks in the background.
//!
//! Nothing here asks for anything or waits: [`crate::journey`] does. What is read from an answer is kept
//! small, because every virtual user has it: a page becomes its forms and the addresses of its assets, and
//! its text is dropped.

pub mod cookies;
pub mod form;
pub mod html;
pub mod meaning;
pub mod order_page;
pub mod request;
pub mod session;
