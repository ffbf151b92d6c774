"""Interventions on a model's own components: patching, tracing with noise, knockouts, scrubbing, circuits."""
