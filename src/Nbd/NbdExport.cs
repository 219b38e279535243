using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Nbd.Server;
using Godwit.Storage;
using Godwit.Storage.Tracking;

namespace Godwit.Nbd;

/// <summary>A block device offered under a name. Thread-safe; the device stays the caller's.</summary>
public sealed class NbdExport
{
    private readonly byte[] _name;
    private readonly byte[] _description = [];
    private int _connections;

    /// <summary>Creates the export.</summary>
    /// <param name="name">What clients ask for; at most 4096 bytes of UTF-8. Clients that name nothing get the export named
    /// "", or the only one.</param>
    /// <param name="device">The device; must stay open while a server offers it.</param>
    /// <exception cref="ArgumentException">The name is too long.</exception>
    public NbdExport(string name, BlockDevice device)
    {
        _name = Bytes(name, nameof(name));
        Name = name;
        Device = device;
        ReadOnly = device.Capabilities.ReadOnly;
    }

    /// <summary>What clients ask for.</summary>
    public string Name { get; }

    /// <summary>The device behind.</summary>
    public BlockDevice Device { get; }

    /// <summary>Clients may not change it, whatever the device could do; several exports can share one device.</summary>
    public bool ReadOnly { get; init => field = value || Device.Capabilities.ReadOnly; }

    /// <summary>Clients may make it larger, if the device can grow and the export is not read-only. Not offered to anybody unless set.</summary>
    public bool Resizable { get => field && Device.Capabilities.CanResize && !ReadOnly; init; }

    /// <summary>The points since which changes are marked; each is offered as the meta context <c>godwit:dirty:NAME</c>. Stays the caller's.</summary>
    public ChangeTracker? Changes { get; init; }

    /// <summary>What it is, for people: shown by programs that list exports. At most 4096 bytes of UTF-8.</summary>
    /// <exception cref="ArgumentException">It is too long.</exception>
    public string Description
    {
        get => Encoding.UTF8.GetString(_description);
        init => _description = Bytes(value, nameof(value));
    }

    /// <summary>Connections that use the export now.</summary>
    public int Connections => Volatile.Read(ref _connections);

    internal ReadOnlySpan<byte> NameBytes => _name;

    internal ReadOnlySpan<byte> DescriptionBytes => _description;

    internal WriterFence Writers { get; } = new();

    internal void CountConnection(int change) => Interlocked.Add(ref _connections, change);

    /// <summary>What the server offers for the device in a session of this form.</summary>
    internal NbdTransmissionFlags Flags(NbdHeaderForm form, StatusContexts contexts)
    {
        // Several connections are coherent: they share one device, and its flush covers whatever completed before it.
        var flags = NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.CanMultiConn | NbdTransmissionFlags.SendCache
            | NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.SendFua;
        if (form != NbdHeaderForm.Simple)
            flags |= NbdTransmissionFlags.SendDf;
        if (form == NbdHeaderForm.Extended && contexts != StatusContexts.None)
            flags |= NbdTransmissionFlags.BlockStatusPayload;
        if (ReadOnly)
            return flags | NbdTransmissionFlags.ReadOnly;
        if (Resizable)
            flags |= NbdTransmissionFlags.SendResize;
        return flags | NbdTransmissionFlags.SendTrim | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendFastZero;
    }

    private static byte[] Bytes(string text, string parameter)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return bytes.Length <= NbdMagic.MaxStringLength ? bytes : throw new ArgumentException("a string of NBD has at most 4096 bytes", parameter);
    }
}
