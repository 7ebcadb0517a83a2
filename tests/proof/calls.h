/* Made of icl.h and icl_train.h by tests/proof/calls.py: every public function. */
static void do_icl_error_string(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_error_string((icl_error)a[0].i); }
static void do_icl_version(const arg *a, arg *r) { (void)a; r->p = (void *)(uintptr_t)icl_version(); }
static void do_icl_inspect(const arg *a, arg *r) { r->i = (int)icl_inspect(a[0].p, a[1].z, a[2].p, a[3].p, a[4].p); }
static void do_icl_model_init(const arg *a, arg *r) { r->i = (int)icl_model_init(a[0].p, a[1].p, a[2].z, a[3].p, a[4].z, a[5].p); }
static void do_icl_model_storage(const arg *a, arg *r) { r->i = (int)icl_model_storage(a[0].p); }
static void do_icl_isa_name(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_isa_name(a[0].p); }
static void do_icl_model_isa(const arg *a, arg *r) { r->i = (int)icl_model_isa(a[0].p, a[1].p); }
static void do_icl_force_plain(const arg *a, arg *r) { icl_force_plain(a[0].p); r->i = 0; }
static void do_icl_max_pairs(const arg *a, arg *r) { r->i = (int)icl_max_pairs(a[0].p); }
static void do_icl_ctx_bytes(const arg *a, arg *r) { r->z = icl_ctx_bytes(a[0].p, a[1].i, a[2].i); }
static void do_icl_ctx_init(const arg *a, arg *r) { r->i = (int)icl_ctx_init(a[0].p, a[1].p, a[2].i, a[3].i, a[4].p, a[5].z); }
static void do_icl_ctx_bytes_with(const arg *a, arg *r) { r->z = icl_ctx_bytes_with(a[0].p, a[1].p, a[2].p); }
static void do_icl_ctx_init_with(const arg *a, arg *r) { r->i = (int)icl_ctx_init_with(a[0].p, a[1].p, a[2].p, a[3].p, a[4].z, a[5].p); }
static void do_icl_ctx_copy(const arg *a, arg *r) { r->i = (int)icl_ctx_copy(a[0].p, a[1].p); }
static void do_icl_ctx_scale(const arg *a, arg *r) { r->i = (int)icl_ctx_scale(a[0].p, a[1].p, a[2].p, a[3].f, a[4].f); }
static void do_icl_standardize(const arg *a, arg *r) { r->i = (int)icl_standardize(a[0].p, a[1].i, a[2].p, a[3].p); }
static void do_icl_ctx_threads(const arg *a, arg *r) { r->i = (int)icl_ctx_threads(a[0].p, a[1].i, (icl_parallel *)a[2].g, a[3].p); }
static void do_icl_add(const arg *a, arg *r) { r->i = (int)icl_add(a[0].p, a[1].p, a[2].f); }
static void do_icl_add_batch(const arg *a, arg *r) { r->i = (int)icl_add_batch(a[0].p, a[1].i, a[2].p, a[3].p); }
static void do_icl_predict(const arg *a, arg *r) { r->i = (int)icl_predict(a[0].p, a[1].p, a[2].p); }
static void do_icl_predict_batch(const arg *a, arg *r) { r->i = (int)icl_predict_batch(a[0].p, a[1].i, a[2].p, a[3].p); }
static void do_icl_ask(const arg *a, arg *r) { r->i = (int)icl_ask(a[0].p, a[1].i, a[2].p, a[3].p, a[4].i, a[5].p, a[6].p); }
static void do_icl_predict_many(const arg *a, arg *r) { r->i = (int)icl_predict_many(a[0].p, a[1].i, a[2].p, a[3].p, a[4].p); }
static void do_icl_rewind(const arg *a, arg *r) { r->i = (int)icl_rewind(a[0].p, a[1].i); }
static void do_icl_forget(const arg *a, arg *r) { r->i = (int)icl_forget(a[0].p, a[1].i); }
static void do_icl_inputs(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_inputs(a[0].p); }
static void do_icl_outputs(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_outputs(a[0].p); }
static void do_icl_count(const arg *a, arg *r) { r->i = (int)icl_count(a[0].p); }
static void do_icl_predict_quantiles(const arg *a, arg *r) { r->i = (int)icl_predict_quantiles(a[0].p, a[1].i, a[2].p, a[3].p); }
static void do_icl_predict_interval(const arg *a, arg *r) { r->i = (int)icl_predict_interval(a[0].p, a[1].i, a[2].p, a[3].f, a[4].p, a[5].p, a[6].p); }
static void do_icl_check(const arg *a, arg *r) { r->i = (int)icl_check(a[0].p, a[1].p); }
static void do_icl_refine(const arg *a, arg *r) { r->i = (int)icl_refine(a[0].p, a[1].p); }
static void do_icl_predict_refined(const arg *a, arg *r) { r->i = (int)icl_predict_refined(a[0].p, a[1].p, a[2].i, a[3].p, a[4].f, a[5].p, a[6].p, a[7].p); }
static void do_icl_mirror(const arg *a, arg *r) { r->i = (int)icl_mirror(a[0].p, a[1].p, a[2].i); }
static void do_icl_predict_mean(const arg *a, arg *r) { r->i = (int)icl_predict_mean(a[0].i, a[1].p, a[2].p, a[3].i, a[4].p, a[5].f, a[6].p, a[7].p, a[8].p); }
static void do_icl_mirror_images(const arg *a, arg *r) { r->i = (int)icl_mirror_images(a[0].p, a[1].p); }
static void do_icl_residuals(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_residuals(a[0].p); }
static void do_icl_surprise(const arg *a, arg *r) { r->i = (int)icl_surprise(a[0].p, a[1].p); }
static void do_icl_ctx_save_bytes(const arg *a, arg *r) { r->z = icl_ctx_save_bytes(a[0].p); }
static void do_icl_ctx_save(const arg *a, arg *r) { r->i = (int)icl_ctx_save(a[0].p, a[1].p, a[2].z); }
static void do_icl_ctx_restore(const arg *a, arg *r) { r->i = (int)icl_ctx_restore(a[0].p, a[1].p, a[2].z, a[3].p); }
static void do_icl_config_check(const arg *a, arg *r) { r->i = (int)icl_config_check(a[0].p, a[1].p); }
static void do_icl_tensor_count(const arg *a, arg *r) { r->i = (int)icl_tensor_count(a[0].p); }
static void do_icl_tensor_at(const arg *a, arg *r) { r->i = (int)icl_tensor_at(a[0].p, a[1].i, a[2].p); }
static void do_icl_param_count(const arg *a, arg *r) { r->z = icl_param_count(a[0].p); }
static void do_icl_model_params(const arg *a, arg *r) { r->i = (int)icl_model_params(a[0].p, a[1].p); }
static void do_icl_bind_bytes(const arg *a, arg *r) { r->z = icl_bind_bytes(a[0].p); }
static void do_icl_model_bind(const arg *a, arg *r) { r->i = (int)icl_model_bind(a[0].p, a[1].p, a[2].p, a[3].p, a[4].z); }
static void do_icl_write_bytes(const arg *a, arg *r) { r->z = icl_write_bytes(a[0].p, a[1].p); }
static void do_icl_write(const arg *a, arg *r) { r->i = (int)icl_write(a[0].p, a[1].z, a[2].p, a[3].p, a[4].p); }
static void do_icl_ctx_new(const arg *a, arg *r) { r->i = (int)icl_ctx_new(a[0].p, a[1].p, a[2].i, a[3].i); }
static void do_icl_ctx_new_with(const arg *a, arg *r) { r->i = (int)icl_ctx_new_with(a[0].p, a[1].p, a[2].p, a[3].p); }
static void do_icl_ctx_delete(const arg *a, arg *r) { icl_ctx_delete(a[0].p); r->i = 0; }
static void do_icl_threads_new(const arg *a, arg *r) { r->i = (int)icl_threads_new(a[0].p, a[1].i); }
static void do_icl_threads_delete(const arg *a, arg *r) { icl_threads_delete(a[0].p); r->i = 0; }
static void do_icl_threads_run(const arg *a, arg *r) { icl_threads_run(a[0].p, a[1].i, (void (*)(void *arg, int i))a[2].g, a[3].p); r->i = 0; }
static void do_icl_load(const arg *a, arg *r) { r->i = (int)icl_load(a[0].p, a[1].p, a[2].p); }
static void do_icl_unload(const arg *a, arg *r) { icl_unload(a[0].p); r->i = 0; }
static void do_icl_save(const arg *a, arg *r) { r->i = (int)icl_save(a[0].p, a[1].p, a[2].p, a[3].p, a[4].p); }
static void do_icl_rng_init(const arg *a, arg *r) { icl_rng_init(a[0].p, a[1].u, a[2].u, a[3].u); r->i = 0; }
static void do_icl_rng_u32(const arg *a, arg *r) { r->i = (int)icl_rng_u32(a[0].p); }
static void do_icl_rng_uniform(const arg *a, arg *r) { r->f = icl_rng_uniform(a[0].p); }
static void do_icl_rng_normal(const arg *a, arg *r) { r->f = icl_rng_normal(a[0].p); }
static void do_icl_rng_gamma(const arg *a, arg *r) { r->f = icl_rng_gamma(a[0].p, a[1].f, a[2].f); }
static void do_icl_rng_below(const arg *a, arg *r) { r->i = (int)icl_rng_below(a[0].p, a[1].i); }
static void do_icl_class_at(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_class_at(a[0].i); }
static void do_icl_task_parse(const arg *a, arg *r) { r->i = (int)icl_task_parse(a[0].p, a[1].p, a[2].i, a[3].p, a[4].i, a[5].p); }
static void do_icl_task_print(const arg *a, arg *r) { r->z = icl_task_print(a[0].p, a[1].p, a[2].z); }
static void do_icl_task_terms(const arg *a, arg *r) { r->i = (int)icl_task_terms(a[0].p); }
static void do_icl_task_weight(const arg *a, arg *r) { r->f = icl_task_weight(a[0].p, a[1].i); }
static void do_icl_sampling_print(const arg *a, arg *r) { r->z = icl_sampling_print(a[0].p, a[1].p, a[2].z); }
static void do_icl_sampling_parse(const arg *a, arg *r) { r->i = (int)icl_sampling_parse(a[0].p, a[1].p); }
static void do_icl_prompt_scratch(const arg *a, arg *r) { r->z = icl_prompt_scratch(a[0].p); }
static void do_icl_prompt_sample(const arg *a, arg *r) { r->i = (int)icl_prompt_sample(a[0].p, a[1].p, a[2].p, a[3].i, a[4].p, a[5].p, a[6].p, a[7].p); }
static void do_icl_prompt_label(const arg *a, arg *r) { r->i = (int)icl_prompt_label(a[0].p, a[1].p, a[2].p, a[3].i, a[4].p, a[5].p, a[6].p, a[7].p); }
static void do_icl_prompt_own(const arg *a, arg *r) { r->i = (int)icl_prompt_own((icl_draw)a[0].g, a[1].p, a[2].p, a[3].p, a[4].i, a[5].i, a[6].p, a[7].p); }
static void do_icl_function_draw(const arg *a, arg *r) { r->i = (int)icl_function_draw(a[0].p, a[1].p, a[2].p, a[3].p); }
static void do_icl_function_eval(const arg *a, arg *r) { r->f = icl_function_eval(a[0].p, a[1].p, a[2].p); }
static void do_icl_function_noise(const arg *a, arg *r) { r->f = icl_function_noise(a[0].p); }
static void do_icl_function_class(const arg *a, arg *r) { r->i = (int)icl_function_class(a[0].p); }
static void do_icl_train_defaults(const arg *a, arg *r) { icl_train_defaults(a[0].p); r->i = 0; }
static void do_icl_trainer_new(const arg *a, arg *r) { r->i = (int)icl_trainer_new(a[0].p, a[1].p, a[2].p); }
static void do_icl_trainer_delete(const arg *a, arg *r) { icl_trainer_delete(a[0].p); r->i = 0; }
static void do_icl_train_step(const arg *a, arg *r) { r->i = (int)icl_train_step(a[0].p, a[1].p); }
static void do_icl_trainer_model(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_trainer_model(a[0].p); }
static void do_icl_trainer_result(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_trainer_result(a[0].p); }
static void do_icl_trainer_options(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_trainer_options(a[0].p); }
static void do_icl_trainer_params(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_trainer_params(a[0].p); }
static void do_icl_trainer_grads(const arg *a, arg *r) { r->p = (void *)(uintptr_t)icl_trainer_grads(a[0].p); }
static void do_icl_trainer_next(const arg *a, arg *r) { r->i = (int)icl_trainer_next(a[0].p, a[1].p); }
static void do_icl_trainer_prompt(const arg *a, arg *r) { r->i = (int)icl_trainer_prompt(a[0].p, a[1].i); }
static void do_icl_train_agree(const arg *a, arg *r) { r->i = (int)icl_train_agree(a[0].p, a[1].p); }
static void do_icl_train_gradient(const arg *a, arg *r) { r->i = (int)icl_train_gradient(a[0].p, a[1].p, a[2].p, a[3].p); }
static void do_icl_train_update(const arg *a, arg *r) { r->i = (int)icl_train_update(a[0].p, a[1].p); }
static void do_icl_train_save(const arg *a, arg *r) { r->i = (int)icl_train_save(a[0].p, a[1].p, a[2].p); }
static void do_icl_train_resume(const arg *a, arg *r) { r->i = (int)icl_train_resume(a[0].p, a[1].p, a[2].p); }
static void do_icl_train_export(const arg *a, arg *r) { r->i = (int)icl_train_export(a[0].p, a[1].p, a[2].p); }
static void do_icl_train_typical(const arg *a, arg *r) { r->i = (int)icl_train_typical(a[0].p, a[1].i, a[2].p, a[3].z); }
static void do_icl_replace_file(const arg *a, arg *r) { r->i = (int)icl_replace_file(a[0].p, a[1].p, a[2].z, a[3].p); }
static void do_icl_probe_file(const arg *a, arg *r) { r->i = (int)icl_probe_file(a[0].p, a[1].p); }
static void do_icl_lock_new(const arg *a, arg *r) { r->i = (int)icl_lock_new(a[0].p, a[1].p, a[2].p); }
static void do_icl_lock_delete(const arg *a, arg *r) { icl_lock_delete(a[0].p); r->i = 0; }
static void do_icl_train_run(const arg *a, arg *r) { r->i = (int)icl_train_run(a[0].p, a[1].p, a[2].p, a[3].p); }
static void do_icl_batch_new(const arg *a, arg *r) { r->i = (int)icl_batch_new(a[0].p, a[1].p, a[2].i, a[3].i); }
static void do_icl_batch_delete(const arg *a, arg *r) { icl_batch_delete(a[0].p); r->i = 0; }
static void do_icl_batch_predict(const arg *a, arg *r) { r->i = (int)icl_batch_predict(a[0].p, a[1].i, a[2].p, a[3].p, a[4].p); }
static const call calls[] = {
  {"icl_error_string", 'p', do_icl_error_string, 1, {{"icl_error", "e", 'i'}},
   "ICL_API const char *icl_error_string(icl_error e);"},
  {"icl_version", 'p', do_icl_version, 0, {{NULL, NULL, 0}},
   "ICL_API const char *icl_version(void);"},
  {"icl_inspect", 'e', do_icl_inspect, 5, {{"const void *", "data", 'p'}, {"size_t", "size", 'z'}, {"icl_config *", "cfg", 'p'}, {"size_t *", "need", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_inspect(const void *data, size_t size, icl_config *cfg, size_t *need, icl_report *r);"},
  {"icl_model_init", 'e', do_icl_model_init, 6, {{"icl_model *", "m", 'p'}, {"const void *", "data", 'p'}, {"size_t", "size", 'z'}, {"void *", "mem", 'p'}, {"size_t", "mem_size", 'z'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_model_init(icl_model *m, const void *data, size_t size, void *mem, size_t mem_size, icl_report *r);"},
  {"icl_model_storage", 'i', do_icl_model_storage, 1, {{"const icl_model *", "m", 'p'}},
   "ICL_API icl_storage icl_model_storage(const icl_model *m);"},
  {"icl_isa_name", 'p', do_icl_isa_name, 1, {{"const icl_model *", "m", 'p'}},
   "ICL_API const char *icl_isa_name(const icl_model *m);"},
  {"icl_model_isa", 'e', do_icl_model_isa, 2, {{"icl_model *", "m", 'p'}, {"const char *", "name", 'p'}},
   "ICL_API icl_error icl_model_isa(icl_model *m, const char *name);"},
  {"icl_force_plain", 'v', do_icl_force_plain, 1, {{"icl_model *", "m", 'p'}},
   "ICL_API void icl_force_plain(icl_model *m);"},
  {"icl_max_pairs", 'i', do_icl_max_pairs, 1, {{"const icl_model *", "m", 'p'}},
   "ICL_API int icl_max_pairs(const icl_model *m);"},
  {"icl_ctx_bytes", 'z', do_icl_ctx_bytes, 3, {{"const icl_model *", "m", 'p'}, {"int", "max_pairs", 'i'}, {"int", "max_batch", 'i'}},
   "ICL_API size_t icl_ctx_bytes(const icl_model *m, int max_pairs, int max_batch);"},
  {"icl_ctx_init", 'e', do_icl_ctx_init, 6, {{"icl_ctx *", "c", 'p'}, {"const icl_model *", "m", 'p'}, {"int", "max_pairs", 'i'}, {"int", "max_batch", 'i'}, {"void *", "mem", 'p'}, {"size_t", "bytes", 'z'}},
   "ICL_API icl_error icl_ctx_init(icl_ctx *c, const icl_model *m, int max_pairs, int max_batch, void *mem, size_t bytes);"},
  {"icl_ctx_bytes_with", 'z', do_icl_ctx_bytes_with, 3, {{"const icl_model *", "m", 'p'}, {"const icl_ctx_options *", "o", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API size_t icl_ctx_bytes_with(const icl_model *m, const icl_ctx_options *o, icl_report *r);"},
  {"icl_ctx_init_with", 'e', do_icl_ctx_init_with, 6, {{"icl_ctx *", "c", 'p'}, {"const icl_model *", "m", 'p'}, {"const icl_ctx_options *", "o", 'p'}, {"void *", "mem", 'p'}, {"size_t", "bytes", 'z'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_ctx_init_with(icl_ctx *c, const icl_model *m, const icl_ctx_options *o, void *mem, size_t bytes, icl_report *r);"},
  {"icl_ctx_copy", 'e', do_icl_ctx_copy, 2, {{"icl_ctx *", "to", 'p'}, {"const icl_ctx *", "from", 'p'}},
   "ICL_API icl_error icl_ctx_copy(icl_ctx *to, const icl_ctx *from);"},
  {"icl_ctx_scale", 'e', do_icl_ctx_scale, 5, {{"icl_ctx *", "c", 'p'}, {"const float *", "x_mean", 'p'}, {"const float *", "x_std", 'p'}, {"float", "y_mean", 'f'}, {"float", "y_std", 'f'}},
   "ICL_API icl_error icl_ctx_scale(icl_ctx *c, const float *x_mean, const float *x_std, float y_mean, float y_std);"},
  {"icl_standardize", 'e', do_icl_standardize, 4, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"const float *", "ys", 'p'}},
   "ICL_API icl_error icl_standardize(icl_ctx *c, int n, const float *xs, const float *ys);"},
  {"icl_ctx_threads", 'e', do_icl_ctx_threads, 4, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}, {"icl_parallel *", "run", 'g'}, {"void *", "user", 'p'}},
   "ICL_API icl_error icl_ctx_threads(icl_ctx *c, int n, icl_parallel *run, void *user);"},
  {"icl_add", 'e', do_icl_add, 3, {{"icl_ctx *", "c", 'p'}, {"const float *", "x", 'p'}, {"float", "y", 'f'}},
   "ICL_API icl_error icl_add(icl_ctx *c, const float *x, float y);"},
  {"icl_add_batch", 'e', do_icl_add_batch, 4, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"const float *", "ys", 'p'}},
   "ICL_API icl_error icl_add_batch(icl_ctx *c, int n, const float *xs, const float *ys);"},
  {"icl_predict", 'e', do_icl_predict, 3, {{"icl_ctx *", "c", 'p'}, {"const float *", "x", 'p'}, {"float *", "y", 'p'}},
   "ICL_API icl_error icl_predict(icl_ctx *c, const float *x, float *y);"},
  {"icl_predict_batch", 'e', do_icl_predict_batch, 4, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"float *", "ys", 'p'}},
   "ICL_API icl_error icl_predict_batch(icl_ctx *c, int n, const float *xs, float *ys);"},
  {"icl_ask", 'e', do_icl_ask, 7, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"const float *", "ys", 'p'}, {"int", "n_query", 'i'}, {"const float *", "queries", 'p'}, {"float *", "answers", 'p'}},
   "ICL_API icl_error icl_ask(icl_ctx *c, int n, const float *xs, const float *ys, int n_query, const float *queries, float *answers);"},
  {"icl_predict_many", 'e', do_icl_predict_many, 5, {{"icl_ctx *", "work", 'p'}, {"int", "n", 'i'}, {"icl_ctx *const *", "contexts", 'p'}, {"const float *", "xs", 'p'}, {"float *", "ys", 'p'}},
   "ICL_API icl_error icl_predict_many(icl_ctx *work, int n, icl_ctx *const *contexts, const float *xs, float *ys);"},
  {"icl_rewind", 'e', do_icl_rewind, 2, {{"icl_ctx *", "c", 'p'}, {"int", "n_pairs", 'i'}},
   "ICL_API icl_error icl_rewind(icl_ctx *c, int n_pairs);"},
  {"icl_forget", 'e', do_icl_forget, 2, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}},
   "ICL_API icl_error icl_forget(icl_ctx *c, int n);"},
  {"icl_inputs", 'p', do_icl_inputs, 1, {{"const icl_ctx *", "c", 'p'}},
   "ICL_API const float *icl_inputs(const icl_ctx *c);"},
  {"icl_outputs", 'p', do_icl_outputs, 1, {{"const icl_ctx *", "c", 'p'}},
   "ICL_API const float *icl_outputs(const icl_ctx *c);"},
  {"icl_count", 'i', do_icl_count, 1, {{"const icl_ctx *", "c", 'p'}},
   "ICL_API int icl_count(const icl_ctx *c);"},
  {"icl_predict_quantiles", 'e', do_icl_predict_quantiles, 4, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"float *", "qs", 'p'}},
   "ICL_API icl_error icl_predict_quantiles(icl_ctx *c, int n, const float *xs, float *qs);"},
  {"icl_predict_interval", 'e', do_icl_predict_interval, 7, {{"icl_ctx *", "c", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"float", "level", 'f'}, {"float *", "ys", 'p'}, {"float *", "lo", 'p'}, {"float *", "hi", 'p'}},
   "ICL_API icl_error icl_predict_interval(icl_ctx *c, int n, const float *xs, float level, float *ys, float *lo, float *hi);"},
  {"icl_check", 'e', do_icl_check, 2, {{"icl_ctx *", "c", 'p'}, {"float *", "rmse", 'p'}},
   "ICL_API icl_error icl_check(icl_ctx *c, float *rmse);"},
  {"icl_refine", 'e', do_icl_refine, 2, {{"icl_ctx *", "r", 'p'}, {"icl_ctx *", "c", 'p'}},
   "ICL_API icl_error icl_refine(icl_ctx *r, icl_ctx *c);"},
  {"icl_predict_refined", 'e', do_icl_predict_refined, 8, {{"icl_ctx *", "c", 'p'}, {"icl_ctx *", "r", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"float", "level", 'f'}, {"float *", "ys", 'p'}, {"float *", "lo", 'p'}, {"float *", "hi", 'p'}},
   "ICL_API icl_error icl_predict_refined(icl_ctx *c, icl_ctx *r, int n, const float *xs, float level, float *ys, float *lo, float *hi);"},
  {"icl_mirror", 'e', do_icl_mirror, 3, {{"icl_ctx *", "m", 'p'}, {"const icl_ctx *", "c", 'p'}, {"int", "image", 'i'}},
   "ICL_API icl_error icl_mirror(icl_ctx *m, const icl_ctx *c, int image);"},
  {"icl_predict_mean", 'e', do_icl_predict_mean, 9, {{"int", "k", 'i'}, {"icl_ctx *const *", "cs", 'p'}, {"icl_ctx *const *", "rs", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"float", "level", 'f'}, {"float *", "ys", 'p'}, {"float *", "lo", 'p'}, {"float *", "hi", 'p'}},
   "ICL_API icl_error icl_predict_mean(int k, icl_ctx *const *cs, icl_ctx *const *rs, int n, const float *xs, float level, float *ys, float *lo, float *hi);"},
  {"icl_mirror_images", 'e', do_icl_mirror_images, 2, {{"icl_ctx *const *", "cs", 'p'}, {"int *", "k", 'p'}},
   "ICL_API icl_error icl_mirror_images(icl_ctx *const *cs, int *k);"},
  {"icl_residuals", 'p', do_icl_residuals, 1, {{"const icl_ctx *", "c", 'p'}},
   "ICL_API const float *icl_residuals(const icl_ctx *c);"},
  {"icl_surprise", 'e', do_icl_surprise, 2, {{"const icl_ctx *", "c", 'p'}, {"float *", "s", 'p'}},
   "ICL_API icl_error icl_surprise(const icl_ctx *c, float *s);"},
  {"icl_ctx_save_bytes", 'z', do_icl_ctx_save_bytes, 1, {{"const icl_ctx *", "c", 'p'}},
   "ICL_API size_t icl_ctx_save_bytes(const icl_ctx *c);"},
  {"icl_ctx_save", 'e', do_icl_ctx_save, 3, {{"const icl_ctx *", "c", 'p'}, {"void *", "buf", 'p'}, {"size_t", "size", 'z'}},
   "ICL_API icl_error icl_ctx_save(const icl_ctx *c, void *buf, size_t size);"},
  {"icl_ctx_restore", 'e', do_icl_ctx_restore, 4, {{"icl_ctx *", "c", 'p'}, {"const void *", "buf", 'p'}, {"size_t", "size", 'z'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_ctx_restore(icl_ctx *c, const void *buf, size_t size, icl_report *r);"},
  {"icl_config_check", 'e', do_icl_config_check, 2, {{"const icl_config *", "cfg", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_config_check(const icl_config *cfg, icl_report *r);"},
  {"icl_tensor_count", 'i', do_icl_tensor_count, 1, {{"const icl_config *", "cfg", 'p'}},
   "ICL_API int icl_tensor_count(const icl_config *cfg);"},
  {"icl_tensor_at", 'e', do_icl_tensor_at, 3, {{"const icl_config *", "cfg", 'p'}, {"int", "i", 'i'}, {"icl_tensor *", "t", 'p'}},
   "ICL_API icl_error icl_tensor_at(const icl_config *cfg, int i, icl_tensor *t);"},
  {"icl_param_count", 'z', do_icl_param_count, 1, {{"const icl_config *", "cfg", 'p'}},
   "ICL_API size_t icl_param_count(const icl_config *cfg);"},
  {"icl_model_params", 'e', do_icl_model_params, 2, {{"const icl_model *", "m", 'p'}, {"float *", "params", 'p'}},
   "ICL_API icl_error icl_model_params(const icl_model *m, float *params);"},
  {"icl_bind_bytes", 'z', do_icl_bind_bytes, 1, {{"const icl_config *", "cfg", 'p'}},
   "ICL_API size_t icl_bind_bytes(const icl_config *cfg);"},
  {"icl_model_bind", 'e', do_icl_model_bind, 5, {{"icl_model *", "m", 'p'}, {"const icl_config *", "cfg", 'p'}, {"const float *", "params", 'p'}, {"void *", "mem", 'p'}, {"size_t", "mem_size", 'z'}},
   "ICL_API icl_error icl_model_bind(icl_model *m, const icl_config *cfg, const float *params, void *mem, size_t mem_size);"},
  {"icl_write_bytes", 'z', do_icl_write_bytes, 2, {{"const icl_config *", "cfg", 'p'}, {"const icl_metadata *", "md", 'p'}},
   "ICL_API size_t icl_write_bytes(const icl_config *cfg, const icl_metadata *md);"},
  {"icl_write", 'e', do_icl_write, 5, {{"void *", "buf", 'p'}, {"size_t", "size", 'z'}, {"const icl_config *", "cfg", 'p'}, {"const float *", "params", 'p'}, {"const icl_metadata *", "md", 'p'}},
   "ICL_API icl_error icl_write(void *buf, size_t size, const icl_config *cfg, const float *params, const icl_metadata *md);"},
  {"icl_ctx_new", 'e', do_icl_ctx_new, 4, {{"icl_ctx **", "c", 'p'}, {"const icl_model *", "m", 'p'}, {"int", "max_pairs", 'i'}, {"int", "max_batch", 'i'}},
   "ICL_API icl_error icl_ctx_new(icl_ctx **c, const icl_model *m, int max_pairs, int max_batch);"},
  {"icl_ctx_new_with", 'e', do_icl_ctx_new_with, 4, {{"icl_ctx **", "c", 'p'}, {"const icl_model *", "m", 'p'}, {"const icl_ctx_options *", "o", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_ctx_new_with(icl_ctx **c, const icl_model *m, const icl_ctx_options *o, icl_report *r);"},
  {"icl_ctx_delete", 'v', do_icl_ctx_delete, 1, {{"icl_ctx *", "c", 'p'}},
   "ICL_API void icl_ctx_delete(icl_ctx *c);"},
  {"icl_threads_new", 'e', do_icl_threads_new, 2, {{"icl_threads **", "t", 'p'}, {"int", "n", 'i'}},
   "ICL_API icl_error icl_threads_new(icl_threads **t, int n);"},
  {"icl_threads_delete", 'v', do_icl_threads_delete, 1, {{"icl_threads *", "t", 'p'}},
   "ICL_API void icl_threads_delete(icl_threads *t);"},
  {"icl_threads_run", 'v', do_icl_threads_run, 4, {{"void *", "user", 'p'}, {"int", "n", 'i'}, {"void (*)(void *arg, int i)", "task", 'g'}, {"void *", "arg", 'p'}},
   "ICL_API void icl_threads_run(void *user, int n, void (*task)(void *arg, int i), void *arg);"},
  {"icl_load", 'e', do_icl_load, 3, {{"icl_model **", "m", 'p'}, {"const char *", "path", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_load(icl_model **m, const char *path, icl_report *r);"},
  {"icl_unload", 'v', do_icl_unload, 1, {{"icl_model *", "m", 'p'}},
   "ICL_API void icl_unload(icl_model *m);"},
  {"icl_save", 'e', do_icl_save, 5, {{"const char *", "path", 'p'}, {"const icl_config *", "cfg", 'p'}, {"const float *", "params", 'p'}, {"const icl_metadata *", "md", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_save(const char *path, const icl_config *cfg, const float *params, const icl_metadata *md, icl_report *r);"},
  {"icl_rng_init", 'v', do_icl_rng_init, 4, {{"icl_rng *", "r", 'p'}, {"uint64_t", "seed", 'u'}, {"uint64_t", "stream", 'u'}, {"uint64_t", "index", 'u'}},
   "ICL_API void icl_rng_init(icl_rng *r, uint64_t seed, uint64_t stream, uint64_t index);"},
  {"icl_rng_u32", 'i', do_icl_rng_u32, 1, {{"icl_rng *", "r", 'p'}},
   "ICL_API uint32_t icl_rng_u32(icl_rng *r);"},
  {"icl_rng_uniform", 'f', do_icl_rng_uniform, 1, {{"icl_rng *", "r", 'p'}},
   "ICL_API float icl_rng_uniform(icl_rng *r);"},
  {"icl_rng_normal", 'f', do_icl_rng_normal, 1, {{"icl_rng *", "r", 'p'}},
   "ICL_API float icl_rng_normal(icl_rng *r);"},
  {"icl_rng_gamma", 'f', do_icl_rng_gamma, 3, {{"icl_rng *", "r", 'p'}, {"float", "shape", 'f'}, {"float", "scale", 'f'}},
   "ICL_API float icl_rng_gamma(icl_rng *r, float shape, float scale);"},
  {"icl_rng_below", 'i', do_icl_rng_below, 2, {{"icl_rng *", "r", 'p'}, {"int", "n", 'i'}},
   "ICL_API int icl_rng_below(icl_rng *r, int n);"},
  {"icl_class_at", 'p', do_icl_class_at, 1, {{"int", "i", 'i'}},
   "ICL_API const icl_class *icl_class_at(int i);"},
  {"icl_task_parse", 'e', do_icl_task_parse, 6, {{"icl_task *", "t", 'p'}, {"const char *", "text", 'p'}, {"int", "n_dims", 'i'}, {"const icl_class *", "own", 'p'}, {"int", "n_own", 'i'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_task_parse(icl_task *t, const char *text, int n_dims, const icl_class *own, int n_own, icl_report *r);"},
  {"icl_task_print", 'z', do_icl_task_print, 3, {{"const icl_task *", "t", 'p'}, {"char *", "buf", 'p'}, {"size_t", "size", 'z'}},
   "ICL_API size_t icl_task_print(const icl_task *t, char *buf, size_t size);"},
  {"icl_task_terms", 'i', do_icl_task_terms, 1, {{"const icl_task *", "t", 'p'}},
   "ICL_API int icl_task_terms(const icl_task *t);"},
  {"icl_task_weight", 'f', do_icl_task_weight, 2, {{"const icl_task *", "t", 'p'}, {"int", "i", 'i'}},
   "ICL_API float icl_task_weight(const icl_task *t, int i);"},
  {"icl_sampling_print", 'z', do_icl_sampling_print, 3, {{"const icl_sampling *", "opt", 'p'}, {"char *", "buf", 'p'}, {"size_t", "size", 'z'}},
   "ICL_API size_t icl_sampling_print(const icl_sampling *opt, char *buf, size_t size);"},
  {"icl_sampling_parse", 'e', do_icl_sampling_parse, 2, {{"icl_sampling *", "opt", 'p'}, {"const char *", "text", 'p'}},
   "ICL_API icl_error icl_sampling_parse(icl_sampling *opt, const char *text);"},
  {"icl_prompt_scratch", 'z', do_icl_prompt_scratch, 1, {{"const icl_task *", "t", 'p'}},
   "ICL_API size_t icl_prompt_scratch(const icl_task *t);"},
  {"icl_prompt_sample", 'e', do_icl_prompt_sample, 8, {{"const icl_task *", "t", 'p'}, {"const icl_sampling *", "opt", 'p'}, {"icl_rng *", "rng", 'p'}, {"int", "n_pairs", 'i'}, {"float *", "xs", 'p'}, {"float *", "ys", 'p'}, {"int *", "class_drawn", 'p'}, {"float *", "scratch", 'p'}},
   "ICL_API icl_error icl_prompt_sample(const icl_task *t, const icl_sampling *opt, icl_rng *rng, int n_pairs, float *xs, float *ys, int *class_drawn, float *scratch);"},
  {"icl_prompt_label", 'e', do_icl_prompt_label, 8, {{"const icl_task *", "t", 'p'}, {"const icl_sampling *", "opt", 'p'}, {"icl_rng *", "rng", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"float *", "ys", 'p'}, {"int *", "class_drawn", 'p'}, {"float *", "scratch", 'p'}},
   "ICL_API icl_error icl_prompt_label(const icl_task *t, const icl_sampling *opt, icl_rng *rng, int n, const float *xs, float *ys, int *class_drawn, float *scratch);"},
  {"icl_prompt_own", 'e', do_icl_prompt_own, 8, {{"icl_draw", "draw", 'g'}, {"void *", "user", 'p'}, {"const icl_sampling *", "opt", 'p'}, {"icl_rng *", "rng", 'p'}, {"int", "n_dims", 'i'}, {"int", "n_pairs", 'i'}, {"float *", "xs", 'p'}, {"float *", "ys", 'p'}},
   "ICL_API icl_error icl_prompt_own(icl_draw draw, void *user, const icl_sampling *opt, icl_rng *rng, int n_dims, int n_pairs, float *xs, float *ys);"},
  {"icl_function_draw", 'e', do_icl_function_draw, 4, {{"float *", "f", 'p'}, {"const icl_task *", "t", 'p'}, {"const icl_sampling *", "opt", 'p'}, {"icl_rng *", "rng", 'p'}},
   "ICL_API icl_error icl_function_draw(float *f, const icl_task *t, const icl_sampling *opt, icl_rng *rng);"},
  {"icl_function_eval", 'f', do_icl_function_eval, 3, {{"const float *", "f", 'p'}, {"const float *", "x", 'p'}, {"const icl_task *", "t", 'p'}},
   "ICL_API float icl_function_eval(const float *f, const float *x, const icl_task *t);"},
  {"icl_function_noise", 'f', do_icl_function_noise, 1, {{"const float *", "f", 'p'}},
   "ICL_API float icl_function_noise(const float *f);"},
  {"icl_function_class", 'i', do_icl_function_class, 1, {{"const float *", "f", 'p'}},
   "ICL_API int icl_function_class(const float *f);"},
  {"icl_train_defaults", 'v', do_icl_train_defaults, 1, {{"icl_train_options *", "o", 'p'}},
   "ICL_API void icl_train_defaults(icl_train_options *o);"},
  {"icl_trainer_new", 'e', do_icl_trainer_new, 3, {{"icl_trainer **", "t", 'p'}, {"const icl_train_options *", "o", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_trainer_new(icl_trainer **t, const icl_train_options *o, icl_report *r);"},
  {"icl_trainer_delete", 'v', do_icl_trainer_delete, 1, {{"icl_trainer *", "t", 'p'}},
   "ICL_API void icl_trainer_delete(icl_trainer *t);"},
  {"icl_train_step", 'e', do_icl_train_step, 2, {{"icl_trainer *", "t", 'p'}, {"icl_train_info *", "info", 'p'}},
   "ICL_API icl_error icl_train_step(icl_trainer *t, icl_train_info *info);"},
  {"icl_trainer_model", 'p', do_icl_trainer_model, 1, {{"const icl_trainer *", "t", 'p'}},
   "ICL_API const icl_model *icl_trainer_model(const icl_trainer *t);"},
  {"icl_trainer_result", 'p', do_icl_trainer_result, 1, {{"const icl_trainer *", "t", 'p'}},
   "ICL_API const icl_model *icl_trainer_result(const icl_trainer *t);"},
  {"icl_trainer_options", 'p', do_icl_trainer_options, 1, {{"const icl_trainer *", "t", 'p'}},
   "ICL_API const icl_train_options *icl_trainer_options(const icl_trainer *t);"},
  {"icl_trainer_params", 'p', do_icl_trainer_params, 1, {{"icl_trainer *", "t", 'p'}},
   "ICL_API float *icl_trainer_params(icl_trainer *t);"},
  {"icl_trainer_grads", 'p', do_icl_trainer_grads, 1, {{"const icl_trainer *", "t", 'p'}},
   "ICL_API const float *icl_trainer_grads(const icl_trainer *t);"},
  {"icl_trainer_next", 'i', do_icl_trainer_next, 2, {{"const icl_trainer *", "t", 'p'}, {"icl_train_info *", "info", 'p'}},
   "ICL_API int icl_trainer_next(const icl_trainer *t, icl_train_info *info);"},
  {"icl_trainer_prompt", 'i', do_icl_trainer_prompt, 2, {{"const icl_trainer *", "t", 'p'}, {"int", "i", 'i'}},
   "ICL_API int icl_trainer_prompt(const icl_trainer *t, int i);"},
  {"icl_train_agree", 'e', do_icl_train_agree, 2, {{"icl_trainer *", "t", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_train_agree(icl_trainer *t, icl_report *r);"},
  {"icl_train_gradient", 'e', do_icl_train_gradient, 4, {{"icl_trainer *", "t", 'p'}, {"const float *", "xs", 'p'}, {"const float *", "ys", 'p'}, {"float *", "loss", 'p'}},
   "ICL_API icl_error icl_train_gradient(icl_trainer *t, const float *xs, const float *ys, float *loss);"},
  {"icl_train_update", 'e', do_icl_train_update, 2, {{"icl_trainer *", "t", 'p'}, {"icl_train_info *", "info", 'p'}},
   "ICL_API icl_error icl_train_update(icl_trainer *t, icl_train_info *info);"},
  {"icl_train_save", 'e', do_icl_train_save, 3, {{"const icl_trainer *", "t", 'p'}, {"const char *", "path", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_train_save(const icl_trainer *t, const char *path, icl_report *r);"},
  {"icl_train_resume", 'e', do_icl_train_resume, 3, {{"icl_trainer *", "t", 'p'}, {"const char *", "path", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_train_resume(icl_trainer *t, const char *path, icl_report *r);"},
  {"icl_train_export", 'e', do_icl_train_export, 3, {{"icl_trainer *", "t", 'p'}, {"const char *", "path", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_train_export(icl_trainer *t, const char *path, icl_report *r);"},
  {"icl_train_typical", 'e', do_icl_train_typical, 4, {{"icl_trainer *", "t", 'p'}, {"int", "n_prompts", 'i'}, {"char *", "text", 'p'}, {"size_t", "size", 'z'}},
   "ICL_API icl_error icl_train_typical(icl_trainer *t, int n_prompts, char *text, size_t size);"},
  {"icl_replace_file", 'e', do_icl_replace_file, 4, {{"const char *", "path", 'p'}, {"const void *", "data", 'p'}, {"size_t", "size", 'z'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_replace_file(const char *path, const void *data, size_t size, icl_report *r);"},
  {"icl_probe_file", 'e', do_icl_probe_file, 2, {{"const char *", "path", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_probe_file(const char *path, icl_report *r);"},
  {"icl_lock_new", 'e', do_icl_lock_new, 3, {{"icl_lock **", "l", 'p'}, {"const char *", "path", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_lock_new(icl_lock **l, const char *path, icl_report *r);"},
  {"icl_lock_delete", 'v', do_icl_lock_delete, 1, {{"icl_lock *", "l", 'p'}},
   "ICL_API void icl_lock_delete(icl_lock *l);"},
  {"icl_train_run", 'e', do_icl_train_run, 4, {{"icl_trainer *", "t", 'p'}, {"const icl_run *", "run", 'p'}, {"icl_train_info *", "last", 'p'}, {"icl_report *", "r", 'p'}},
   "ICL_API icl_error icl_train_run(icl_trainer *t, const icl_run *run, icl_train_info *last, icl_report *r);"},
  {"icl_batch_new", 'e', do_icl_batch_new, 4, {{"icl_batch **", "b", 'p'}, {"const icl_model *", "m", 'p'}, {"int", "n_pairs", 'i'}, {"int", "threads", 'i'}},
   "ICL_API icl_error icl_batch_new(icl_batch **b, const icl_model *m, int n_pairs, int threads);"},
  {"icl_batch_delete", 'v', do_icl_batch_delete, 1, {{"icl_batch *", "b", 'p'}},
   "ICL_API void icl_batch_delete(icl_batch *b);"},
  {"icl_batch_predict", 'e', do_icl_batch_predict, 5, {{"icl_batch *", "b", 'p'}, {"int", "n", 'i'}, {"const float *", "xs", 'p'}, {"const float *", "ys", 'p'}, {"float *", "preds", 'p'}},
   "ICL_API icl_error icl_batch_predict(icl_batch *b, int n, const float *xs, const float *ys, float *preds);"},
};

/* The numbers and pointers in structs of the caller's. */
static const field fields[] = {
  {"icl_config", "n_dims", 'i', offsetof(icl_config, n_dims)},
  {"icl_config", "n_embd", 'i', offsetof(icl_config, n_embd)},
  {"icl_config", "n_head", 'i', offsetof(icl_config, n_head)},
  {"icl_config", "n_layer", 'i', offsetof(icl_config, n_layer)},
  {"icl_config", "n_positions", 'i', offsetof(icl_config, n_positions)},
  {"icl_config", "n_out", 'i', offsetof(icl_config, n_out)},
  {"icl_config", "position_embedding_type", 'i', offsetof(icl_config, position_embedding_type)},
  {"icl_config", "activation_function", 'i', offsetof(icl_config, activation_function)},
  {"icl_config", "layer_norm_epsilon", 'f', offsetof(icl_config, layer_norm_epsilon)},
  {"icl_config", "tokens", 'i', offsetof(icl_config, tokens)},
  {"icl_config", "n_quantiles", 'i', offsetof(icl_config, n_quantiles)},
  {"icl_config", "quantiles", 'f', offsetof(icl_config, quantiles)},
  {"icl_ctx_options", "max_pairs", 'i', offsetof(icl_ctx_options, max_pairs)},
  {"icl_ctx_options", "queries_at_once", 'i', offsetof(icl_ctx_options, queries_at_once)},
  {"icl_ctx_options", "threads", 'i', offsetof(icl_ctx_options, threads)},
  {"icl_ctx_options", "kv", 'i', offsetof(icl_ctx_options, kv)},
  {"icl_ctx_options", "run", 'g', offsetof(icl_ctx_options, run)},
  {"icl_ctx_options", "user", 'p', offsetof(icl_ctx_options, user)},
  {"icl_metadata", "task", 'p', offsetof(icl_metadata, task)},
  {"icl_metadata", "typical", 'p', offsetof(icl_metadata, typical)},
  {"icl_metadata", "storage", 'i', offsetof(icl_metadata, storage)},
  {"icl_metadata", "sampling", 'p', offsetof(icl_metadata, sampling)},
  {"icl_metadata", "recipe", 'p', offsetof(icl_metadata, recipe)},
  {"icl_sampling", "dims_active", 'i', offsetof(icl_sampling, dims_active)},
  {"icl_sampling", "inputs", 'i', offsetof(icl_sampling, inputs)},
  {"icl_sampling", "x_scale", 'f', offsetof(icl_sampling, x_scale)},
  {"icl_sampling", "y_scale", 'f', offsetof(icl_sampling, y_scale)},
  {"icl_sampling", "order", 'i', offsetof(icl_sampling, order)},
  {"icl_sampling", "standardize", 'i', offsetof(icl_sampling, standardize)},
  {"icl_train_options", "model.n_dims", 'i', offsetof(icl_train_options, model.n_dims)},
  {"icl_train_options", "model.n_embd", 'i', offsetof(icl_train_options, model.n_embd)},
  {"icl_train_options", "model.n_head", 'i', offsetof(icl_train_options, model.n_head)},
  {"icl_train_options", "model.n_layer", 'i', offsetof(icl_train_options, model.n_layer)},
  {"icl_train_options", "model.n_positions", 'i', offsetof(icl_train_options, model.n_positions)},
  {"icl_train_options", "model.n_out", 'i', offsetof(icl_train_options, model.n_out)},
  {"icl_train_options", "model.position_embedding_type", 'i', offsetof(icl_train_options, model.position_embedding_type)},
  {"icl_train_options", "model.activation_function", 'i', offsetof(icl_train_options, model.activation_function)},
  {"icl_train_options", "model.layer_norm_epsilon", 'f', offsetof(icl_train_options, model.layer_norm_epsilon)},
  {"icl_train_options", "model.tokens", 'i', offsetof(icl_train_options, model.tokens)},
  {"icl_train_options", "model.n_quantiles", 'i', offsetof(icl_train_options, model.n_quantiles)},
  {"icl_train_options", "model.quantiles", 'f', offsetof(icl_train_options, model.quantiles)},
  {"icl_train_options", "task", 'p', offsetof(icl_train_options, task)},
  {"icl_train_options", "own", 'p', offsetof(icl_train_options, own)},
  {"icl_train_options", "n_own", 'i', offsetof(icl_train_options, n_own)},
  {"icl_train_options", "sampling.dims_active", 'i', offsetof(icl_train_options, sampling.dims_active)},
  {"icl_train_options", "sampling.inputs", 'i', offsetof(icl_train_options, sampling.inputs)},
  {"icl_train_options", "sampling.x_scale", 'f', offsetof(icl_train_options, sampling.x_scale)},
  {"icl_train_options", "sampling.y_scale", 'f', offsetof(icl_train_options, sampling.y_scale)},
  {"icl_train_options", "sampling.order", 'i', offsetof(icl_train_options, sampling.order)},
  {"icl_train_options", "sampling.standardize", 'i', offsetof(icl_train_options, sampling.standardize)},
  {"icl_train_options", "pairs", 'i', offsetof(icl_train_options, pairs)},
  {"icl_train_options", "batch", 'i', offsetof(icl_train_options, batch)},
  {"icl_train_options", "steps", 'l', offsetof(icl_train_options, steps)},
  {"icl_train_options", "schedule", 'i', offsetof(icl_train_options, schedule)},
  {"icl_train_options", "lr", 'f', offsetof(icl_train_options, lr)},
  {"icl_train_options", "warmup", 'l', offsetof(icl_train_options, warmup)},
  {"icl_train_options", "lr_end", 'f', offsetof(icl_train_options, lr_end)},
  {"icl_train_options", "optimizer", 'i', offsetof(icl_train_options, optimizer)},
  {"icl_train_options", "momentum", 'f', offsetof(icl_train_options, momentum)},
  {"icl_train_options", "beta1", 'f', offsetof(icl_train_options, beta1)},
  {"icl_train_options", "beta2", 'f', offsetof(icl_train_options, beta2)},
  {"icl_train_options", "epsilon", 'f', offsetof(icl_train_options, epsilon)},
  {"icl_train_options", "weight_decay", 'f', offsetof(icl_train_options, weight_decay)},
  {"icl_train_options", "clip", 'f', offsetof(icl_train_options, clip)},
  {"icl_train_options", "ema", 'f', offsetof(icl_train_options, ema)},
  {"icl_train_options", "init_sd", 'f', offsetof(icl_train_options, init_sd)},
  {"icl_train_options", "hint", 'f', offsetof(icl_train_options, hint)},
  {"icl_train_options", "hint_layer", 'i', offsetof(icl_train_options, hint_layer)},
  {"icl_train_options", "dims_start", 'i', offsetof(icl_train_options, dims_start)},
  {"icl_train_options", "dims_every", 'l', offsetof(icl_train_options, dims_every)},
  {"icl_train_options", "pairs_start", 'i', offsetof(icl_train_options, pairs_start)},
  {"icl_train_options", "pairs_add", 'i', offsetof(icl_train_options, pairs_add)},
  {"icl_train_options", "pairs_every", 'l', offsetof(icl_train_options, pairs_every)},
  {"icl_train_options", "from", 'p', offsetof(icl_train_options, from)},
  {"icl_train_options", "seed", 'u', offsetof(icl_train_options, seed)},
  {"icl_train_options", "threads", 'i', offsetof(icl_train_options, threads)},
  {"icl_train_options", "max_bad", 'i', offsetof(icl_train_options, max_bad)},
  {"icl_train_options", "rank", 'i', offsetof(icl_train_options, rank)},
  {"icl_train_options", "world", 'i', offsetof(icl_train_options, world)},
  {"icl_train_options", "user", 'p', offsetof(icl_train_options, user)},
  {"icl_train_options", "shards", 'i', offsetof(icl_train_options, shards)},
  {"icl_train_options", "own_prompts", 'i', offsetof(icl_train_options, own_prompts)},
  {"icl_train_options", "draw", 'g', offsetof(icl_train_options, draw)},
  {"icl_train_options", "draw_user", 'p', offsetof(icl_train_options, draw_user)},
  {"icl_train_options", "draw_version", 'u', offsetof(icl_train_options, draw_version)},
  {"icl_train_options", "complete", 'i', offsetof(icl_train_options, complete)},
  {"icl_run", "model_path", 'p', offsetof(icl_run, model_path)},
  {"icl_run", "state_path", 'p', offsetof(icl_run, state_path)},
  {"icl_run", "resume", 'i', offsetof(icl_run, resume)},
  {"icl_run", "save_every", 'l', offsetof(icl_run, save_every)},
  {"icl_run", "user", 'p', offsetof(icl_run, user)},
  {"icl_run", "stop", 'p', offsetof(icl_run, stop)},
  {"icl_run", "lock", 'p', offsetof(icl_run, lock)},
};
