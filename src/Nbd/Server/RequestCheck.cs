using Godwit.Nbd.Protocol;
using Godwit.Storage;

namespace Godwit.Nbd.Server;

/// <summary>Decides which requests are refused before they reach the device (NBD proto.md, "Request types").</summary>
internal static class RequestCheck
{
    /// <summary>The error to answer with, or <see cref="NbdError.None"/> when the request may be served.</summary>
    public static NbdError Check(in RequestHeader request, Session session)
    {
        var device = session.Export.Device;
        var allowed = AllowedFlags(request.Command, session);
        if (allowed is not { } flags || (request.Flags & ~flags) != 0)
            return NbdError.Invalid;
        if (request.Command == NbdCommand.Flush)
            return request.Offset == 0 && request.Length == 0 ? NbdError.None : NbdError.Invalid;
        if (Writes(request.Command) && session.Export.ReadOnly)
            return NbdError.NotPermitted;
        if (request.Command == NbdCommand.Resize)
            return CheckResize(request, session.Export);
        if (request.Command is NbdCommand.Read or NbdCommand.Write && request.Length > NbdMagic.MaxPayload)
            return (request.Flags & NbdCommandFlags.DoNotFragment) != 0 ? NbdError.Overflow : NbdError.Invalid;
        if (request.Command == NbdCommand.BlockStatus && request.PayloadLength > 0)
            return StatusFilter.IsPossible(request.PayloadLength) ? NbdError.None : NbdError.Invalid;
        return CheckRange(request, device) is var error and not NbdError.None ? error : CheckMeaning(request, device);
    }

    /// <summary>The check of a block status whose range came in its payload.</summary>
    public static NbdError CheckFiltered(in RequestHeader request, Session session)
    {
        var device = session.Export.Device;
        return CheckRange(request, device) is var error and not NbdError.None ? error : CheckMeaning(request, device);
    }

    private static NbdCommandFlags? AllowedFlags(NbdCommand command, Session session) => command switch
    {
        NbdCommand.Read when session.StructuredReplies => NbdCommandFlags.ForceUnitAccess | NbdCommandFlags.DoNotFragment,
        NbdCommand.Write when session.ExtendedHeaders => NbdCommandFlags.ForceUnitAccess | NbdCommandFlags.PayloadLength,
        NbdCommand.Read or NbdCommand.Write or NbdCommand.Flush or NbdCommand.Trim or NbdCommand.Cache or NbdCommand.Resize =>
            NbdCommandFlags.ForceUnitAccess,
        NbdCommand.WriteZeroes => NbdCommandFlags.ForceUnitAccess | NbdCommandFlags.NoHole | NbdCommandFlags.FastZero,
        NbdCommand.BlockStatus when session.Contexts != StatusContexts.None => NbdCommandFlags.ForceUnitAccess
            | NbdCommandFlags.RequestOne | (session.ExtendedHeaders ? NbdCommandFlags.PayloadLength : NbdCommandFlags.None),
        _ => null,
    };

    private static bool Writes(NbdCommand command) =>
        command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes or NbdCommand.Resize;

    /// <summary>The new size stands in the offset; a device only grows while it is open.</summary>
    private static NbdError CheckResize(in RequestHeader request, NbdExport export)
    {
        var (size, sector) = (request.Offset, (uint)export.Device.Capabilities.SectorSize);
        return export.Resizable && request.Length == 0 && size <= long.MaxValue && size >= (ulong)export.Device.Length && size % sector == 0
            ? NbdError.None
            : NbdError.Invalid;
    }

    private static NbdError CheckRange(in RequestHeader request, BlockDevice device)
    {
        var length = (ulong)device.Length;
        if (request.Offset > length || request.Length > length - request.Offset)
            return request.Command is NbdCommand.Write or NbdCommand.WriteZeroes ? NbdError.NoSpace : NbdError.Invalid;
        var sector = (uint)device.Capabilities.SectorSize;
        return ((request.Offset | request.Length) & (sector - 1)) == 0 ? NbdError.None : NbdError.Invalid;
    }

    private static NbdError CheckMeaning(in RequestHeader request, BlockDevice device)
    {
        if (request.Command == NbdCommand.BlockStatus && request.Length == 0)
            return NbdError.Invalid;

        // A hole is the one way of zeroing that is certainly quicker than writing, and only such devices can make holes.
        if ((request.Flags & NbdCommandFlags.FastZero) != 0
            && ((request.Flags & NbdCommandFlags.NoHole) != 0 || device.Capabilities.Trim != TrimResult.Zeroes))
        {
            return NbdError.NotSupported;
        }

        return NbdError.None;
    }
}
