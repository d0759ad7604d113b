//! The money rules: values in, values out.
