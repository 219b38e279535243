using System.Text;
using Godwit.Nbd.Protocol;
using Godwit.Nbd.Server;
using Godwit.Storage;

namespace Godwit.Nbd;

/// <summary>A block device offered under a name. Thread-safe; the device stays the caller's.</summary>
public sealed class NbdExport
{
    private readonly byte[] _name;
    private int _connections;

    /// <summary>Creates the export.</summary>
    /// <param name="name">What clients ask for; at most 4096 bytes of UTF-8. Clients that name nothing get the export named
    /// "", or the only one.</param>
    /// <param name="device">The device; must stay open while a server offers it.</param>
    /// <exception cref="ArgumentException">The name is too long.</exception>
    public NbdExport(string name, BlockDevice device)
    {
        _name = Encoding.UTF8.GetBytes(name);
        if (_name.Length > NbdMagic.MaxStringLength)
            throw new ArgumentException("an export name has at most 4096 bytes", nameof(name));
        Name = name;
        Device = device;
    }

    /// <summary>What clients ask for.</summary>
    public string Name { get; }

    /// <summary>The device behind.</summary>
    public BlockDevice Device { get; }

    /// <summary>Connections that use the export now.</summary>
    public int Connections => Volatile.Read(ref _connections);

    internal ReadOnlySpan<byte> NameBytes => _name;

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
        if (Device.Capabilities.ReadOnly)
            return flags | NbdTransmissionFlags.ReadOnly;
        return flags | NbdTransmissionFlags.SendTrim | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendFastZero;
    }
}
