//! Every kind of request, held exactly: each row of the design's table against a real API server, with the real clients.
//! One file per question; a test's name is the row's words.

mod apply;
mod certificates;
mod commands;
mod passing;
mod verdicts;
