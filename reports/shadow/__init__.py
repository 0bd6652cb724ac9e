"""The part of a page that shows shadow ops."""
