"""The guard's lists: what user SQL may call, read and set. Pure data.

A test compares them with what the SQLite in use offers, so that a new version's additions are decided here by hand.
Left out on purpose: everything that tells or changes how the engine was built or runs (versions, compile options,
memory, journal, file layout), that reads files or loads code, `user_version` (ours is `_cf_meta`), and eponymous tables
that show raw pages or pointers.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODULES = frozenset({"fts5", "fts5vocab", "rtree", "rtree_i32"})

# Tables that exist without being created and lead around the other rules.
REFUSED_TABLES = _words("""
    bytecode carray completion dbstat fts3tokenize fts4aux geopoly sqlite_dbpage sqlite_memstat sqlite_stmt tables_used
    pragma_function_list pragma_module_list pragma_pragma_list pragma_compile_options pragma_database_list
""")

PRAGMAS_READ = frozenset({"data_version", "page_size", "page_count", "freelist_count", "encoding", "collation_list"})
PRAGMAS_BOOLEAN = _words("""
    case_sensitive_like defer_foreign_keys foreign_keys ignore_check_constraints legacy_alter_table
    recursive_triggers reverse_unordered_selects
""")
PRAGMAS_OBJECT = _words("table_info table_xinfo index_info index_xinfo index_list foreign_key_list")
PRAGMAS_OBJECT_OR_NUMBER = frozenset({"foreign_key_check", "quick_check", "optimize"})
PRAGMAS_ANY = frozenset({"table_list"})
TRUTH_WORDS = frozenset({"0", "1", "on", "off", "yes", "no", "true", "false"})

_CORE = """
    abs changes char coalesce concat concat_ws format glob hex if ifnull iif instr last_insert_rowid length like
    likelihood likely lower ltrim max min nullif octet_length printf quote random randomblob replace round rtrim sign
    soundex substr substring subtype total_changes trim typeof unhex unicode unistr unistr_quote unlikely upper zeroblob
    -> ->>
"""
_AGGREGATE = """
    avg count group_concat median percentile percentile_cont percentile_disc string_agg sum total
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
"""
_DATE = "current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch"
_MATH = """
    acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power
    radians sin sinh sqrt tan tanh trunc
"""
_JSON = """
    json json_array json_array_insert json_array_length json_error_position json_extract json_group_array
    json_group_object json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set
    json_type json_valid jsonb jsonb_array jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object
    jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set
"""
_SEARCH = "bm25 fts5 fts5_get_locale fts5_insttoken fts5_locale highlight match snippet rtreecheck rtreedepth rtreenode"
# Called by ALTER TABLE itself; SQLite lets nobody else call them.
_ALTER = """
    sqlite_add_constraint sqlite_drop_column sqlite_drop_constraint sqlite_fail sqlite_find_constraint
    sqlite_rename_column sqlite_rename_quotefix sqlite_rename_table sqlite_rename_test
"""

FUNCTIONS = _words(" ".join((_CORE, _AGGREGATE, _DATE, _MATH, _JSON, _SEARCH, _ALTER)))

REFUSED_FUNCTIONS = _words("""
    fts3_tokenizer fts5_source_id load_extension matchinfo offsets optimize sqlite_compileoption_get
    sqlite_compileoption_used sqlite_log sqlite_source_id sqlite_version
    geopoly_area geopoly_bbox geopoly_blob geopoly_ccw geopoly_contains_point geopoly_debug geopoly_group_bbox
    geopoly_json geopoly_overlap geopoly_regular geopoly_svg geopoly_within geopoly_xform
""")
