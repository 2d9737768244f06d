#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <memory>
#include <string>
#include <utility>

namespace runnel::detail {

/// The machine's files without waiting for the disk: for what nobody reads after a crash.
class unsynced_files final : public rocksdb::FileSystemWrapper {
    using status = rocksdb::IOStatus;
    using options = rocksdb::IOOptions;
    using debug = rocksdb::IODebugContext;

public:
    unsynced_files() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

    const char* Name() const override { return "runnel_unsynced_files"; }
    status NewWritableFile(const std::string& path, const rocksdb::FileOptions& how,
                           std::unique_ptr<rocksdb::FSWritableFile>* made, debug* d) override {
        const status s = FileSystemWrapper::NewWritableFile(path, how, made, d);
        if (s.ok()) *made = std::make_unique<file>(std::move(*made));
        return s;
    }
    status NewDirectory(const std::string& path, const options& how, std::unique_ptr<rocksdb::FSDirectory>* made,
                        debug* d) override {
        const status s = FileSystemWrapper::NewDirectory(path, how, made, d);
        if (s.ok()) *made = std::make_unique<directory>(std::move(*made));
        return s;
    }

private:
    struct file final : rocksdb::FSWritableFileOwnerWrapper {
        using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;
        status Sync(const options&, debug*) override { return status::OK(); }
        status Fsync(const options&, debug*) override { return status::OK(); }
        status RangeSync(std::uint64_t, std::uint64_t, const options&, debug*) override { return status::OK(); }
    };
    struct directory final : rocksdb::FSDirectoryWrapper {
        using FSDirectoryWrapper::FSDirectoryWrapper;
        status Fsync(const options&, debug*) override { return status::OK(); }
        status FsyncWithDirOptions(const options&, debug*, const rocksdb::DirFsyncOptions&) override {
            return status::OK();
        }
    };
};

}  // namespace runnel::detail
