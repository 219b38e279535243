namespace Godwit.Qemu.Launch;

/// <summary>The files by which a running QEMU is reached and recognized. They are all that is needed to adopt it.</summary>
/// <param name="PidFile">Written and kept locked by QEMU: a second QEMU with the same one refuses to start.</param>
/// <param name="Monitor">Unix socket of the QMP monitor.</param>
/// <param name="OutOfBandMonitor">Unix socket of the second monitor, for when the first one hangs.</param>
/// <param name="SerialSocket">Unix socket of the first serial port, for a console.</param>
/// <param name="Log">Receives what QEMU itself prints; appended to.</param>
public sealed record QemuFiles(string PidFile, string Monitor, string OutOfBandMonitor, string SerialSocket, string Log)
{
    /// <summary>The usual names.</summary>
    /// <param name="runFolder">Folder of the VM's sockets; short, since a socket's path must stay under 108 bytes.</param>
    /// <param name="stateFolder">Folder of the VM's lasting files.</param>
    public static QemuFiles In(string runFolder, string stateFolder) => new(
        Path.Combine(runFolder, "qemu.pid"),
        Path.Combine(runFolder, "qmp.sock"),
        Path.Combine(runFolder, "qmp-oob.sock"),
        Path.Combine(runFolder, "serial.sock"),
        Path.Combine(stateFolder, "qemu.log"));
}
