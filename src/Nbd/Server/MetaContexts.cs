using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Answers LIST_META_CONTEXT and SET_META_CONTEXT.</summary>
internal sealed class MetaContexts(OutputBuffer output)
{
    private readonly OptionReplies _replies = new(output);
    private NbdExport? _chosenFor;
    private ExportContexts? _chosenFrom;
    private StatusContexts _chosen;

    /// <summary>Finds an export by the bytes of its name.</summary>
    internal delegate NbdExport? Lookup(ReadOnlySpan<byte> name);

    /// <summary>The session of an export; choosing another export than the contexts were chosen for drops them.</summary>
    public Session SessionOf(NbdExport export, NbdHeaderForm form) => ReferenceEquals(_chosenFor, export)
        ? new Session(export, form, _chosen, _chosenFrom)
        : new Session(export, form, StatusContexts.None, null);

    public void Answer(uint option, ReadOnlySpan<byte> data, bool structured, Lookup find)
    {
        var set = (NbdOption)option == NbdOption.SetMetaContext;
        if (set)
            _chosenFor = null;
        if (!structured)
        {
            _replies.Error(option, NbdOptionReply.Invalid, "STRUCTURED_REPLY or EXTENDED_HEADERS has to come first");
            return;
        }

        if (!TryRead(data, out var name, out var queries))
        {
            _replies.Error(option, NbdOptionReply.Invalid, "the lengths inside the option do not add up");
            return;
        }

        if (find(name) is not { } export)
        {
            _replies.Error(option, NbdOptionReply.Unknown, "no export of that name; LIST names them");
            return;
        }

        var contexts = new ExportContexts(export);
        var matches = Match(contexts, queries, set);
        for (var i = 0; i < contexts.Count; i++)
        {
            if ((matches & ExportContexts.At(i)) != 0)
                _replies.MetaContext(option, set ? (uint)ExportContexts.At(i) : 0, contexts.NameAt(i));
        }

        if (set)
            (_chosenFor, _chosenFrom, _chosen) = (export, contexts, matches);
        _replies.Ack(option);
    }

    private static StatusContexts Match(ExportContexts contexts, OptionText queries, bool set)
    {
        // Asking for a list without saying of what means everything.
        if (!set && queries.IsAtEnd)
            return contexts.All;
        var matches = StatusContexts.None;
        while (queries.TryString(out var query))
            matches |= contexts.Match(query, wildcards: !set);
        return matches;
    }

    /// <summary>Takes the option apart. False when the lengths inside do not add up.</summary>
    /// <param name="data">The option's data.</param>
    /// <param name="name">Name of the export.</param>
    /// <param name="queries">The queries, whose lengths are right.</param>
    private static bool TryRead(ReadOnlySpan<byte> data, out ReadOnlySpan<byte> name, out OptionText queries)
    {
        var text = new OptionText(data);
        queries = default;
        if (!text.TryString(out name) || !text.TryUInt32(out var count))
            return false;
        queries = text;
        for (var i = 0u; i < count; i++)
        {
            if (!text.TryString(out _))
                return false;
        }

        return text.IsAtEnd;
    }
}
