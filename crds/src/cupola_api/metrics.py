"""Names of the metrics that rank 0 of a run serves on /metrics, in Prometheus' text format.

The operator scrapes them for status and reads no other name; Prometheus scrapes the same page.
"""

PORT = 9400
"""Port of /metrics in every pod."""

PROGRESS = "cupola_progress_ratio"
STEP = "cupola_train_step"
STEPS = "cupola_train_steps"
LOSS = "cupola_train_loss_nats"
TOKENS = "cupola_train_tokens_total"
TOKENS_PER_SECOND = "cupola_train_tokens_per_second"
MEASURED_STEPS = "cupola_train_measured_steps_total"
STEP_SECONDS = "cupola_train_step_seconds_total"
STEP_SQUARES = "cupola_train_step_seconds_squared_total"
CHECKPOINT_STEP = "cupola_train_checkpoint_step"
CHECKPOINT_TIME = "cupola_train_checkpoint_timestamp_seconds"
RESUMED_STEP = "cupola_train_resumed_step"
RESUMED_TIME = "cupola_train_resumed_checkpoint_timestamp_seconds"
PASSED_OVER = "cupola_train_checkpoints_passed_over"
FIRST_STEP_TIME = "cupola_train_first_step_timestamp_seconds"
CHECKPOINT_SECONDS = "cupola_train_checkpoint_seconds_total"
EVALUATION_SECONDS = "cupola_train_evaluation_seconds_total"
CURATED_DOCUMENTS = "cupola_curate_documents_total"
CURATED_BYTES = "cupola_curate_bytes_total"
STAGE_DOCUMENTS = "cupola_curate_stage_documents"
HEARTBEAT = "cupola_heartbeat_timestamp_seconds"

HELP = {
    PROGRESS: "Share of the run that is done, 0 to 1.",
    STEP: "Optimizer steps done.",
    STEPS: "Optimizer steps of the whole run.",
    LOSS: "Training loss of the last step, nats per token.",
    TOKENS: "Tokens trained on, over all ranks, since step 0 of the run.",
    TOKENS_PER_SECOND: "Training speed over all ranks, smoothed over the last steps.",
    MEASURED_STEPS: "Steps of this attempt whose time was measured: all but its first one.",
    STEP_SECONDS: "Seconds that the measured steps took together; saves are not in it.",
    STEP_SQUARES: "Sum of the squares of the measured steps' seconds.",
    CHECKPOINT_STEP: "Step of the newest complete checkpoint.",
    CHECKPOINT_TIME: "Unix time at which the newest checkpoint was complete.",
    RESUMED_STEP: "Step of the checkpoint that this attempt went on from; 0 if it began anew.",
    RESUMED_TIME: "Unix time at which that checkpoint was complete; 0 if it began anew.",
    PASSED_OVER: "Newer checkpoints that were damaged and therefore passed over.",
    FIRST_STEP_TIME: "Unix time at which the first step of this attempt began.",
    CHECKPOINT_SECONDS: "Seconds of this attempt in which steps waited for checkpoints.",
    EVALUATION_SECONDS: "Seconds of validation in this attempt, up to its newest checkpoint or its end.",
    CURATED_DOCUMENTS: "Documents that this pod of a curation stage has worked on.",
    CURATED_BYTES: "Bytes that it has worked on: of source files while cleaning, else of text.",
    STAGE_DOCUMENTS: "Documents that all pods of the stage work on, where that is known.",
    HEARTBEAT: "Unix time at which rank 0 last made progress.",
}
"""Name -> help text; also the closed set of names that the operator accepts."""
