//! What goes wrong at Route 53, and what it does with names, pages and policies.
