using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Answers LIST_META_CONTEXT and SET_META_CONTEXT.</summary>
internal sealed class MetaContexts(OutputBuffer output)
{
    private readonly OptionReplies _replies = new(output);
    private NbdExport? _chosenFor;
    private StatusContexts _chosen;

    /// <summary>Finds an export by the bytes of its name.</summary>
    internal delegate NbdExport? Lookup(ReadOnlySpan<byte> name);

    /// <summary>The contexts chosen for an export; choosing another export afterwards drops them.</summary>
    public StatusContexts For(NbdExport export) => ReferenceEquals(_chosenFor, export) ? _chosen : StatusContexts.None;

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

        if (!TryRead(data, set, out var name, out var matches))
        {
            _replies.Error(option, NbdOptionReply.Invalid, "the lengths inside the option do not add up");
            return;
        }

        if (find(name) is not { } export)
        {
            _replies.Error(option, NbdOptionReply.Unknown, "no export of that name; LIST names them");
            return;
        }

        Name(option, set, matches);
        if (set)
            (_chosenFor, _chosen) = (export, matches);
        _replies.Ack(option);
    }

    private void Name(uint option, bool set, StatusContexts matches)
    {
        for (var i = 0; i < StatusContextNames.Count; i++)
        {
            var context = StatusContextNames.At(i);
            if ((matches & context) != 0)
                _replies.MetaContext(option, set ? (uint)context : 0, StatusContextNames.Of(context));
        }
    }

    private static bool TryRead(ReadOnlySpan<byte> data, bool set, out ReadOnlySpan<byte> name, out StatusContexts matches)
    {
        var text = new OptionText(data);
        matches = StatusContexts.None;
        if (!text.TryString(out name) || !text.TryUInt32(out var queries))
            return false;

        // Asking for a list without saying of what means everything.
        if (!set && queries == 0)
            matches = StatusContexts.All;
        for (var i = 0u; i < queries; i++)
        {
            if (!text.TryString(out var query))
                return false;
            matches |= StatusContextNames.Match(query, wildcards: !set);
        }

        return text.IsAtEnd;
    }
}
