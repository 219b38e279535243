namespace Godwit.Worker.Interop;

/// <summary>What a process gives up before it touches an image that a guest has written.</summary>
internal static class Hardening
{
    /// <summary>Files for the owner only, no way to more privileges, and no core dump: it would hold guest data.</summary>
    internal static unsafe void Apply()
    {
        // Started through /proc/self/exe the kernel would call the worker "exe".
        fixed (byte* name = "godwit-worker\0"u8)
            _ = LibC.ProcessControl(LibC.SetName, (nuint)name, 0, 0, 0);
        _ = LibC.SetCreationMask(0b000_111_111);
        // Best effort: an old kernel that refuses is no reason not to serve.
        _ = LibC.ProcessControl(LibC.SetNoNewPrivileges, 1, 0, 0, 0);
        _ = LibC.ProcessControl(LibC.SetDumpable, 0, 0, 0, 0);
    }
}
