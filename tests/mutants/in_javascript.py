"""Faults in JavaScript, and in what the site's pages are made of, written by hand: as those in
Python."""

TRAINER = "helpers/explorables/discovery/trainer"
DISCOVERY = "helpers/explorables/discovery"
VIEWS = "helpers/explorables"

FAULTS = {
    # ---- the training in a browser tab
    f"{TRAINER}/model.js": [
        (
            "in a tab scores are not divided by the root of d_head",
            "scale: 1 / Math.sqrt(d_head)",
            "scale: 1",
            "browser/test_training_model.py::test_logits_loss_and_gradients_are_torchs",
        ),
        (
            "in a tab a key is smeared with itself",
            "gate * k[i] + (1 - gate) * k[i - columns]",
            "gate * k[i] + (1 - gate) * k[i]",
            "browser/test_training_model.py::test_logits_loss_and_gradients_are_torchs",
        ),
        (
            "in a tab values see the positions",
            "arithmetic.product(v, x, W.V);",
            "arithmetic.product(v, at, W.V);",
            "browser/test_training_model.py::test_logits_loss_and_gradients_are_torchs",
        ),
        (
            "in a tab the loss is taken on every row",
            "if (!marked[row]) {",
            "if (!marked) {",
            "browser/test_training_model.py::test_logits_loss_and_gradients_are_torchs",
        ),
        (
            "in a tab weights are drawn too wide",
            "const read = init_weights / Math.sqrt(d_model)",
            "const read = init_weights / Math.sqrt(d_head)",
            "browser/test_training_tab.py::test_weights_begin_as_the_recipe_draws_them",
        ),
    ],
    f"{TRAINER}/backward.js": [
        (
            "one gradient of the smeared keys has the wrong sign",
            "dk[here] += (1 - gate) * dKeys[next];",
            "dk[here] -= (1 - gate) * dKeys[next];",
            "browser/test_training_model.py::test_logits_loss_and_gradients_are_torchs",
        ),
        (
            "the gradient of W_V is taken where the positions are",
            "arithmetic.addProduct(dW.V, read.x.T, d.v);",
            "arithmetic.addProduct(dW.V, read.at.T, d.v);",
            "browser/test_training_model.py::test_logits_loss_and_gradients_are_torchs",
        ),
        (
            "gradients of one batch stay for the next",
            "gradients.each((values) => values.fill(0));",
            "",
            "browser/test_training_steps.py::test_twenty_steps_lead_where_torchs_lead",
        ),
    ],
    f"{TRAINER}/optimizers.js": [
        (
            "in a tab a coefficient of Newton and Schulz is another",
            "[3.4445, -4.775, 2.0315]",
            "[3.4445, -4.765, 2.0315]",
            "browser/test_training_steps.py::test_twenty_steps_lead_where_torchs_lead",
        ),
        (
            "in a tab AdamW does not correct its bias",
            "unbiased = Math.sqrt(1 - keepSquare ** steps)",
            "unbiased = 1",
            "browser/test_training_steps.py::test_twenty_steps_lead_where_torchs_lead",
        ),
        (
            "in a tab Muon takes AdamW's rate",
            "for (const step of this.muon) step(muon_lr);",
            "for (const step of this.muon) step(lr);",
            "browser/test_training_steps.py::test_twenty_steps_lead_where_torchs_lead",
        ),
    ],
    f"{TRAINER}/trainer.js": [
        (
            "in a tab the rates do not fall",
            "Math.max(1 - this.stepNumber / training.steps, 0)",
            "1",
            "browser/test_training_steps.py::test_twenty_steps_lead_where_torchs_lead",
        ),
        (
            "in a tab a loss that is no number is trained on",
            "if (!Number.isFinite(loss)) throw this.diverged(loss);",
            "",
            "browser/test_training_tab.py::test_a_loss_that_is_no_number_stops_it_with_a_word",
        ),
    ],
    f"{TRAINER}/scores.js": [
        (
            "in a tab the target is the earlier copy itself",
            "tokens[key - 1] === tokens[query];",
            "tokens[key] === tokens[query];",
            "browser/test_training_scores.py::test_the_scores_are_the_instruments",
        ),
        (
            "in a tab the previous-token score has a row too many",
            "for (let row = 2; row < columns; row++) sum",
            "for (let row = 1; row < columns; row++) sum",
            "browser/test_training_scores.py::test_the_scores_are_the_instruments",
        ),
        (
            "in a tab a row counts for each of its targets",
            "if (isRow) rows++;",
            "if (isRow) rows += 2;",
            "browser/test_training_scores.py::test_the_scores_are_the_instruments",
        ),
    ],
    f"{TRAINER}/circuits.js": [
        (
            "in a tab K-composition is measured on the query's side",
            "unit(times(precise(K), turn(triangle(precise(Q)))))",
            "unit(times(precise(Q), turn(triangle(precise(K)))))",
            "browser/test_training_scores.py::test_the_scores_are_the_instruments",
        ),
        (
            "in a tab the eigenvalues' imaginary parts do not count",
            "Math.hypot(real, im[i])",
            "Math.abs(real)",
            "browser/test_training_scores.py::test_the_scores_are_the_instruments",
        ),
        (
            "in a tab the null keeps the readers as they are",
            "times(turn(orthonormal(gaussian(random, strength.rows, d_model))), strength)",
            "times(turn(gaussian(random, strength.rows, d_model)), strength)",
            "browser/test_training_scores.py::test_the_null_of_composition_is_the_instruments",
        ),
    ],
    f"{TRAINER}/random.js": [
        (
            "in a tab every seed is the same",
            "mixed(mixed(seed >>> 0) + stream)",
            "mixed(mixed(0) + stream)",
            "browser/test_training_tab.py::test_a_seed_has_one_batch_and_another_seed_another",
        ),
    ],
    f"{TRAINER}/tasks.js": [
        (
            "in a tab periods that are held out are trained on",
            "seen: periods.filter((p) => p % 5 !== 4)",
            "seen: periods",
            "browser/test_training_tab.py::test_periods_are_those_that_the_course_trains_on",
        ),
        (
            "in a tab a row is determined one too early",
            "at > lead + period ? 1 : 0",
            "at >= lead + period ? 1 : 0",
            "browser/test_training_tab.py::test_a_tasks_rows_can_be_answered_by_induction_alone",
        ),
    ],
    f"{TRAINER}/choices.js": [
        (
            "a choice that cannot be is taken",
            "if (wrong) throw new Error(wrong);",
            "",
            "browser/test_training_tab.py::"
            "test_what_cannot_be_is_refused_in_pythons_words_and_the_rest_is_kept",
        ),
    ],
    f"{TRAINER}/answering.js": [
        (
            "a reset forgets the reader's row",
            "scene.ask(this.row.typed); ",
            "",
            "browser/test_training_tab.py::test_a_reset_starts_over_and_keeps_the_readers_row",
        ),
        (
            "a training goes on when nobody looks any more",
            "if (this.views <= 0) this.pause();",
            "",
            "browser/test_training_tab.py::test_it_stops_when_the_last_view_has_closed",
        ),
        (
            "Step takes no step",
            "    this.advance(0);\n",
            "",
            "browser/test_training_tab.py::"
            "test_step_is_one_step_and_a_row_is_answered_at_every_look "
            "browser/test_training_tab.py::test_the_last_step_finishes",
        ),
        (
            "a row is answered by the weights of another step",
            "kept[i] && scene.answersOf(kept[i])",
            "kept[i] && scene.answersOf(kept[0])",
            "browser/test_training_tab.py::test_a_row_is_put_to_every_look_whose_weights_are_kept",
        ),
    ],
    f"{TRAINER}/scene.js": [
        (
            "in a tab the riddle's copy is the first, not the latest",
            "tokens.slice(0, -1).lastIndexOf(tokens.at(-1))",
            "tokens.slice(0, -1).indexOf(tokens.at(-1))",
            "browser/test_training_scores.py::test_a_look_sees_what_pythons_scene_sees "
            "browser/test_training_tab.py::"
            "test_a_row_is_put_to_every_look_whose_weights_are_kept",
        ),
        (
            "in a tab losses of known and new tokens change places",
            "loss: this.lossOn(this.known), loss_new: this.lossOn(this.new)",
            "loss: this.lossOn(this.new), loss_new: this.lossOn(this.known)",
            "browser/test_training_scores.py::test_a_look_sees_what_pythons_scene_sees",
        ),
    ],
    # ---- Discovery's view
    f"{DISCOVERY}/training.js": [
        (
            "the scrubber shows another step",
            "this.index = clamp(to, 0, last);",
            "this.index = clamp(to - 1, 0, last);",
            "browser/test_arithmetic.py::"
            "test_a_training_shows_the_newest_until_the_reader_scrubs_back",
        ),
        (
            "the pattern of another head is shown",
            "(layer * n_heads + head) * pos + row",
            "(head * n_heads + layer) * pos + row",
            "browser/test_discovery.py::test_a_row_is_read_as_it_is_drawn",
        ),
        (
            "a birth is told again at every step after it",
            "this.born ??= {",
            "this.born = {",
            "browser/test_arithmetic.py::"
            "test_a_training_follows_its_birth_until_the_reader_chooses",
        ),
    ],
    f"{DISCOVERY}/controls.js": [
        (
            "the scrubber's arrow keys move the wrong way",
            "ArrowLeft: -1, ArrowDown: -1, ArrowUp: 1, ArrowRight: 1",
            "ArrowLeft: 1, ArrowDown: 1, ArrowUp: -1, ArrowRight: -1",
            "browser/test_discovery.py::test_one_trains_pauses_steps_scrubs_and_resets_by_keyboard",
        ),
        (
            "what is half typed is overwritten",
            "else if (input !== typing) input.value",
            "else input.value",
            "browser/test_discovery.py::"
            "test_a_number_half_typed_is_not_overwritten_by_an_earlier_choice",
        ),
    ],
    f"{DISCOVERY}/graphs.js": [
        (
            "a value off the chart is not told",
            "if (number > top) return [path, offTheChart(number, x(here.step), x(0))];",
            "if (number > top) return [path];",
            "browser/test_discovery.py::test_a_value_off_the_chart_is_told",
        ),
    ],
    f"{DISCOVERY}/view.js": [
        (
            "a click on a graph leaves the picture as it was",
            "for (const part of [asking, history, moment]) part.draw(training);",
            "for (const part of [asking, moment]) part.draw(training);",
            "browser/test_discovery.py::test_a_click_on_a_graph_goes_to_that_step",
        ),
    ],
    # ---- what all views share
    f"{VIEWS}/shared/keys.js": [
        (
            "left is right",
            "ArrowLeft: [-1, 0], ArrowRight: [1, 0]",
            "ArrowLeft: [1, 0], ArrowRight: [-1, 0]",
            "browser/test_arithmetic.py::test_keys_lead_to_places_in_three_lines",
        ),
    ],
    f"{VIEWS}/shared/cividis.js": [
        (
            "the views' colours are inverted",
            "const place = (value / 255) * (ANCHORS.length - 1);",
            "const place = (1 - value / 255) * (ANCHORS.length - 1);",
            "browser/test_modules.py::test_shades_are_cividis_and_grow_lighter",
        ),
    ],
    f"{VIEWS}/shared/words.js": [
        (
            "in a view BOS is somebody's earlier copy",
            "key > 1 && tokens[key - 1]",
            "key > 0 && tokens[key - 1]",
            "browser/test_arithmetic.py::test_a_target_is_where_python_says_one_is",
        ),
    ],
    f"{VIEWS}/shared/numbers.js": [
        (
            "of equals the last is the largest",
            "if (best < 0 || value > most)",
            "if (best < 0 || value >= most)",
            "browser/test_arithmetic.py browser/test_modules.py",
        ),
        (
            "probabilities do not add up to one",
            "logits[i] /= sum;",
            "logits[i] /= top;",
            "browser/test_modules.py::test_softmax_and_kurtosis_are_pythons",
        ),
    ],
    f"{VIEWS}/shared/pattern.js": [
        (
            "a small pattern shows the last entry of each block",
            "values[at] = Math.max(values[at], entry(query, key));",
            "values[at] = entry(query, key);",
            "browser/test_arithmetic.py::"
            "test_a_small_pattern_shows_the_largest_entry_of_each_block",
        ),
    ],
    f"{VIEWS}/shared/formats.js": [
        (
            "what is not quite all is called all",
            'if (value > 99.9 && share < 1) return "> 99.9%";',
            "",
            "browser/test_arithmetic.py::test_numbers_are_written_as_they_are_read",
        ),
    ],
    # ---- the other views
    f"{VIEWS}/attention/patterns.js": [
        (
            "a weighted entry has the length of the query's value",
            "attention(query, key) * length(key)",
            "attention(query, key) * length(query)",
            "browser/test_arithmetic.py::"
            "test_the_strength_of_an_entry_is_attention_times_the_length_of_v",
        ),
        (
            "down the pattern the arrows walk up",
            "direction === FROM ? [down, right] : [right, down]",
            "direction === FROM ? [-down, right] : [right, -down]",
            "browser/test_arithmetic.py::test_an_arrow_walks_over_the_pattern",
        ),
    ],
    f"{VIEWS}/paths/sums.js": [
        (
            "a term's worth has the wrong sign",
            "(is ? this.loss(sum, term, -1) - now",
            "(is ? now - this.loss(sum, term, -1)",
            "browser/test_paths.py::test_each_switch_says_what_its_term_is_worth",
        ),
        (
            "the loss of paths is taken on every row",
            "      if (!counts) return;\n",
            "",
            "browser/test_paths.py::test_the_loss_is_pythons_for_any_terms",
        ),
    ],
    f"{VIEWS}/rotation/model.js": [
        (
            "in the page the stream turns the other way",
            "rows[i] + sine * once[i] + rest * twice[i]",
            "rows[i] - sine * once[i] + rest * twice[i]",
            "browser/test_rotation.py::test_the_page_measures_what_the_kernel_measures",
        ),
        (
            "in the page kurtosis is not divided by the squared variance",
            "sum += fourth / second ** 2;",
            "sum += fourth / second;",
            "browser/test_modules.py::test_softmax_and_kurtosis_are_pythons",
        ),
        (
            "in the page a switch that should break it breaks nothing",
            'centring: has("centring")',
            "centring: false",
            "browser/test_rotation.py::"
            "test_each_switch_breaks_it_and_the_kept_direction_mends_the_centring",
        ),
    ],
    f"{VIEWS}/savings/scores.js": [
        (
            "in the page savings are costs",
            "saved: without.loss - whole.loss",
            "saved: whole.loss - without.loss",
            "browser/test_savings.py::"
            "test_the_pointer_tells_what_was_expected_with_the_heads_and_without",
        ),
        (
            "each kind of token has the sum of the others",
            "kinds[row] === kind",
            "kinds[row] !== kind",
            "browser/test_savings.py::test_each_kind_has_its_sum_and_when_pressed_its_tokens_alone",
        ),
    ],
    f"{VIEWS}/virtual_weights/matrix.js": [
        (
            "a matrix is multiplied by the other's transpose",
            "factor * b.values[m * columns + j]",
            "factor * b.values[j * inner + m]",
            "browser/test_modules.py::test_every_matrix_is_the_product_that_python_takes",
        ),
        (
            "the entry under the pointer is its neighbour",
            "Math.floor((x - tile.x) / tile.cell)",
            "Math.ceil((x - tile.x) / tile.cell)",
            "browser/test_modules.py::test_a_tile_lies_in_its_place_and_its_entries_are_found",
        ),
    ],
    f"{VIEWS}/virtual_weights/links.js": [
        (
            "a link's share of the ceiling does not begin at chance",
            "clamp((score - mean) / ",
            "clamp(score / ",
            "browser/test_modules.py::test_a_share_is_nothing_at_chance_and_all_at_the_ceiling",
        ),
        (
            "a node's strong links are the weak ones",
            "link.p <= told.level",
            "link.p > told.level",
            "browser/test_modules.py::test_everything_has_its_place_and_is_found_there",
        ),
    ],
    f"{VIEWS}/virtual_weights/diagram.js": [
        (
            "in the page faint links are not drawn",
            "if (readsAs(curve.link, kind)) faint[kind].addPath(curve.path);",
            "if (!curve.link) faint[kind].addPath(curve.path);",
            "browser/test_virtual_weights.py",
        ),
    ],
    f"{VIEWS}/virtual_weights/camera.js": [
        (
            "a zoom goes to the middle, not to the pointer",
            "look(k, x - ((x - camera.x) * k) / camera.k, y - ((y - camera.y) * k) / camera.k);",
            "look(k, camera.x, camera.y);",
            "browser/test_modules.py::test_what_the_pointer_holds_stays_under_it_while_it_zooms",
        ),
    ],
    f"{VIEWS}/virtual_weights/pointers.js": [
        (
            "the wheel is the diagram's before it has the focus",
            "document.activeElement === canvas && ",
            "",
            "browser/test_modules.py::test_the_wheel_is_the_pages_until_the_diagram_has_the_focus",
        ),
    ],
    f"{VIEWS}/prediction/view.js": [
        (
            "a late answer undoes what was pressed since",
            "    if (waiting) return;\n",
            "",
            "browser/test_prediction.py::"
            "test_an_answer_that_comes_late_undoes_nothing_that_was_pressed_since",
        ),
        (
            "a word can be said after the outcome",
            "all.disabled = Boolean(outcome.choice);",
            "all.disabled = false;",
            "browser/test_prediction.py::"
            "test_what_came_stands_beside_the_word_and_the_word_is_fixed",
        ),
    ],
    # ---- the site
    "helpers/course/site/page.html": [
        (
            "a page of the site asks another address",
            '<link rel="icon" href="data:,">',
            '<link rel="icon" href="https://example.org/icon.png">',
            "test_site.py::test_every_address_leads_to_a_file_and_a_place_of_the_site",
        ),
    ],
    "helpers/course/site/recording.js": [
        (
            "a recorded training has another one's settings",
            "if (!isOther || differs(model.get",
            "if (!isOther && differs(model.get",
            "browser/test_site.py::test_a_recorded_training_says_what_it_cannot",
        ),
    ],
    f"{VIEWS}/shared/model.js": [
        (
            "on a page without a kernel nothing is said of what changes",
            "    tell(`change:${name}`, model, value);\n",
            "",
            "browser/test_site.py::test_a_model_says_what_changes_and_saves_what_was_set",
        ),
    ],
    f"{VIEWS}/shared/common.js": [
        (
            "a view loads its pictures from elsewhere",
            'const SVG = "http://www.w3.org/2000/svg";',
            'const SVG = "http://www.w3.org/2000/svg";\n'
            'export const LOGO = "https://example.org/logo.svg";',
            "test_explorables.py::test_a_view_asks_for_nothing_off_the_machine",
        ),
    ],
}
