/* Boolean variables through a program (length-generalization, section 2.1, Boolean variable assignment):
 *
 *     b = 1 ; a = not b ; c = a and b ; .. |value of a :        asked at the end: 0
 *
 * Each statement sets a variable that is drawn to a constant, to another one's value or its negation, or to
 * the conjunction or disjunction of two; a variable that no statement has set is not read. Then the value of
 * one that was set is asked. Tokens: 0 and 1, six signs (=, ;, not, and, or, question), variables. The
 * published task is a text of Python in which programs have a given depth; here they are drawn statement by
 * statement, a token a word, and fill the length: what is left in front are semicolons. */
#include "block/kernel.h"

enum { SET = 2, END, NOT, AND, OR, QUESTION, VARIABLES, SHORTEST = 4, TAIL = 2 };

static struct task_sizes sizes(const struct scope *s)
{
    return (struct task_sizes){.vocabulary = VARIABLES + option(s, "variables"), .questions = 1};
}

struct program {
    struct task_sequence *sequence;
    int64_t place;     /* of the next token */
    int64_t *value;    /* of each variable */
    int64_t *assigned; /* those that were set, and whether each was */
    int64_t assigned_count, *is_assigned;
};

static void say(struct program *p, int64_t token)
{
    p->sequence->ids[p->place++] = (real)token;
}

/* Writes a variable that was set and returns its value. */
static int64_t read_variable(struct program *p)
{
    int64_t variable = p->assigned[draw_below(p->sequence, p->assigned_count)];
    say(p, VARIABLES + variable);
    return p->value[variable];
}

/* Writes an expression of at most `room` tokens and returns its value. */
static int64_t write_expression(struct program *p, int64_t room)
{
    int64_t forms = p->assigned_count == 0 ? 1 : room < 2 ? 2 : room < 3 ? 3 : 5;
    int64_t form = draw_below(p->sequence, forms);
    if (form == 0) {
        int64_t constant = draw_below(p->sequence, 2);
        say(p, constant);
        return constant;
    }
    if (form == 1)
        return read_variable(p);
    if (form == 2) {
        say(p, NOT);
        return !read_variable(p);
    }
    int64_t left = read_variable(p);
    say(p, form == 3 ? AND : OR);
    int64_t right = read_variable(p);
    return form == 3 ? left && right : left || right;
}

static void write_statement(struct program *p, int64_t variables, int64_t room)
{
    int64_t variable = draw_below(p->sequence, variables);
    say(p, VARIABLES + variable);
    say(p, SET);
    p->value[variable] = write_expression(p, room - 3);
    say(p, END);
    if (!p->is_assigned[variable])
        p->assigned[p->assigned_count++] = variable;
    p->is_assigned[variable] = 1;
}

static void generate(const struct scope *s, struct task_sequence *sequence)
{
    int64_t variables = option(s, "variables"), end = sequence->length - TAIL;
    struct program p = {.sequence = sequence,
                        .value = sequence_numbers(sequence, variables),
                        .assigned = sequence_numbers(sequence, variables),
                        .is_assigned = sequence_numbers(sequence, variables)};
    while (end - p.place >= SHORTEST)
        write_statement(&p, variables, end - p.place);
    int64_t left = end - p.place;
    for (int64_t t = end - 1; t >= 0; t--)
        sequence->ids[t] = t < left ? END : sequence->ids[t - left];
    p.place = end;
    say(&p, QUESTION);
    sequence->targets[end + 1] = (real)read_variable(&p);
}

KERNEL(variable_assignment) = {
    .name = "variable-assignment",
    .slot = SLOT_TASK,
    .variant = "length-generalization",
    .summary = "a program that sets Boolean variables; the value of one is asked at its end",
    .options = OPTIONS(INTEGER_OPTION("length", 32, SHORTEST + TAIL, 1 << 20, "tokens of a sequence"),
                       INTEGER_OPTION("variables", 4, 1, 1 << 16, "of the program")),
    .sizes = sizes,
    .generate = generate,
};
