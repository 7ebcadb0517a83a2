/* C++: a model that is shared, contexts that delete themselves, answers with an interval.  C++11, and
 * nothing in it needs exceptions or RTTI.
 *
 *     c++ -std=c++11 -O2 -I. examples/06_cpp.cpp -o build/06_cpp && build/06_cpp
 */
#define ICL_IMPLEMENTATION
#include "icl.h"
#include <cstdio>
#include <memory>
#include <vector>

namespace in_context {

typedef std::shared_ptr<const icl_model> Model;          /* one for all contexts and threads */

inline Model load(const char *path, icl_report *why = nullptr)
{
  icl_model *m = nullptr;
  return icl_load(&m, path, why) ? Model() : Model(m, icl_unload);
}

struct Answer { float y, low, high; };

/* Pairs in context.  Moves, does not copy; keeps its model alive. */
class Context {
public:
  Context(Model m, int max_pairs) : model(m), c(nullptr, icl_ctx_delete)
  {
    icl_ctx *made = nullptr;
    if (model) error = icl_ctx_new(&made, model.get(), max_pairs, 16);
    c.reset(made);
  }
  explicit operator bool() const { return c && !error; }

  /* All pairs at once, scaled by them: x has model->config.n_dims floats for each y. */
  bool learn(const std::vector<float> &x, const std::vector<float> &y)
  {
    const int n = int(y.size());
    if (!c || x.size() != y.size() * size_t(model->config.n_dims)) return false;
    error = icl_rewind(c.get(), 0);
    if (!error) error = icl_standardize(c.get(), n, x.data(), y.data());
    if (!error) error = icl_add_batch(c.get(), n, x.data(), y.data());
    return !error;
  }
  bool predict(const float *x, float level, Answer &a)
  {
    if (c) error = icl_predict_interval(c.get(), 1, x, level, &a.y, &a.low, &a.high);
    return c && !error;
  }
  const char *why() const { return icl_error_string(error); }

private:
  Model model;
  std::unique_ptr<icl_ctx, void (*)(icl_ctx *)> c;
  icl_error error = ICL_ERR_ARG;
};

}  // namespace in_context

int main()
{
  icl_report why;
  in_context::Model model = in_context::load("examples/models/curves.safetensors", &why);
  if (!model) { std::puts(why.text); return 1; }
  std::vector<in_context::Context> contexts;
  contexts.emplace_back(model, 8);                       /* moved in, deleted with the vector */
  in_context::Context &c = contexts.back();
  if (!c.learn({1, 2, 3, 4, 6, 8, 11, 15}, {2.1f, 3.4f, 4.6f, 5.1f, 6.3f, 6.8f, 7.4f, 7.6f})) {
    std::puts(c.why());
    return 1;
  }
  for (float x : {2.5f, 5.0f, 9.0f, 13.0f}) {
    in_context::Answer a;
    if (c.predict(&x, 0.9f, a))
      std::printf("f(%4.1f) = %.2f, 90 %% from %.2f to %.2f\n", x, a.y, a.low, a.high);
  }
  return 0;
}
