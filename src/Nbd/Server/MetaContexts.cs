using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Answers LIST_META_CONTEXT and SET_META_CONTEXT; the one context offered is base:allocation.</summary>
internal sealed class MetaContexts(OutputBuffer output)
{
    private readonly OptionReplies _replies = new(output);

    /// <summary>Finds an export by the bytes of its name.</summary>
    internal delegate NbdExport? Lookup(ReadOnlySpan<byte> name);

    /// <summary>The export the context was chosen for; choosing another export afterwards drops it.</summary>
    public NbdExport? BaseAllocationFor { get; private set; }

    public void Answer(uint option, ReadOnlySpan<byte> data, bool structured, Lookup find)
    {
        var set = (NbdOption)option == NbdOption.SetMetaContext;
        if (set)
            BaseAllocationFor = null;
        if (!structured)
        {
            _replies.Error(option, NbdOptionReply.Invalid, "STRUCTURED_REPLY has to come first");
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

        if (matches)
            _replies.MetaContext(option, set ? Session.BaseAllocationId : 0, "base:allocation"u8);
        if (matches && set)
            BaseAllocationFor = export;
        _replies.Ack(option);
    }

    private static bool TryRead(ReadOnlySpan<byte> data, bool set, out ReadOnlySpan<byte> name, out bool matches)
    {
        var text = new OptionText(data);
        matches = false;
        if (!text.TryString(out name) || !text.TryUInt32(out var queries))
            return false;

        // Asking for a list without saying of what means everything.
        matches = !set && queries == 0;
        for (var i = 0u; i < queries; i++)
        {
            if (!text.TryString(out var query))
                return false;
            matches |= query.SequenceEqual("base:allocation"u8) || (!set && query.SequenceEqual("base:"u8));
        }

        return text.IsAtEnd;
    }
}
