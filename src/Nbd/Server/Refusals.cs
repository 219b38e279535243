using System.Globalization;
using Godwit.Nbd.Protocol;

namespace Godwit.Nbd.Server;

/// <summary>Says in words why a request was refused; only clients with structured replies get to see it.</summary>
internal static class Refusals
{
    public static string Reason(in RequestHeader request, NbdError error, Session session)
    {
        if (!session.StructuredReplies)
            return "";
        var device = session.Export.Device;
        return error switch
        {
            NbdError.NotPermitted => "the export is read-only",
            NbdError.NotSupported => "zeroing there is not quicker than writing",
            NbdError.Overflow => string.Create(CultureInfo.InvariantCulture, $"at most {NbdMagic.MaxPayload} bytes fit into one chunk"),
            _ when request.Command == NbdCommand.Resize && !session.Export.Resizable => "the export does not offer to be resized",
            _ when request.Command == NbdCommand.Resize => string.Create(
                CultureInfo.InvariantCulture,
                $"an export of {device.Length} bytes in {device.Capabilities.SectorSize}-byte sectors does not become one of {request.Offset}"),
            _ => string.Create(
                CultureInfo.InvariantCulture,
                $"{request.Command} with flags {(ushort)request.Flags}, offset {request.Offset}, length {request.Length} is not possible "
                + $"on an export of {device.Length} bytes in {device.Capabilities.SectorSize}-byte sectors"),
        };
    }
}
